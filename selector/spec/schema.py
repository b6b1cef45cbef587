"""The study file's validated, frozen form and the defaults of everything it leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import (
    BeforeValidator,
    Field,
    ModelWrapValidatorHandler,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from selector import metrics
from selector.errors import InputError, UnknownNameError
from selector.records import Goal, Scalar
from selector.spec import conditions
from selector.spec.calendar import Cron, TimeZone
from selector.spec.domains import AnyDomain, Choice, Fixed, IntRange, LogUniform, values_of
from selector.spec.durations import Duration
from selector.spec.history import History
from selector.spec.mistakes import Mistake, refuse
from selector.spec.notify import NotifySpec
from selector.spec.parameters import PARAMETERS, STAGES, show
from selector.spec.section import Section
from selector.spec.space import Domain, Space

Text = Annotated[str, Field(min_length=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Amount = Annotated[float, Field(gt=0)]
Device = Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:[0-9]{1,3})?)$")]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
FINALS = ".finals"  # ends the name of the study in which a study's finals run
StudyName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,192}$")]

MOST_WORKERS = 256  # on one machine

# With every line below it commented out, such a key has no value and means its defaults.
MAY_BE_EMPTY = (
    "backbones",
    "training",
    "budget",
    "start_from",
    "finals",
    "limits",
    "keep",
    "notify",
    "writers",
)


_Part = TypeVar("_Part", bound=Section)


class SplitSpec(Section):
    """Shares of validation and test where the data brings no split of its own."""

    validation: Share = 0.15
    test: Share = 0.15
    seed: Seed = 0

    @model_validator(mode="after")
    def _leaves_something_to_train_on(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError(
                f"validation {self.validation:g} and test {self.test:g} leave nothing to train on;"
                " together they stay below 1."
            )
        return self


class DataSpec(Section):
    """Where the labelled images are: a `path` (folder, .csv, .parquet) or a `source`."""

    path: Text | None = None
    source: Text | None = None  # "builtin:digits"
    image_column: Text = "path"
    label_column: Text = "label"
    group_column: Text | None = None  # "group" where the listing has such a column
    split_column: Text | None = None  # "split" likewise
    limit: Count | None = None  # a stratified subsample, for a quick look
    split: SplitSpec = SplitSpec()
    on_bad_image: Literal["refuse", "skip"] = "refuse"
    on_duplicates: Literal["refuse", "move_to_train"] = "refuse"  # one picture in several splits

    @model_validator(mode="wrap")
    @classmethod
    def _one_origin(cls, raw: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        return _with(conditions.of_data(raw), raw, handler)


class MetricSpec(Section):
    """What is ranked and pruned on. The binary metrics pit `positive_class` against the rest."""

    name: str
    goal: Goal
    positive_class: Text | None = None

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            metrics.goal_of(name)
        except InputError as error:
            raise ValueError(str(error)) from error
        return name

    @model_validator(mode="wrap")
    @classmethod
    def _fits(cls, raw: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        return _with(conditions.of_metric(raw), raw, handler)


class SearchSpec(Section):
    """The search space: for every parameter a domain; a bare value fixes it."""

    backbone: Domain
    lr: Domain = LogUniform(1e-5, 1e-2)
    freeze_depth: Domain = IntRange(0, STAGES)
    batch_size: Domain = Choice((16, 32, 64))
    optimizer: Domain = Fixed("adamw")
    momentum: Domain = Fixed(0.9)
    # Fixed: over a few epochs it moves the score far less than lr and freeze depth do, and every
    # searched parameter thins out a small budget of trials.
    weight_decay: Domain = Fixed(1e-4)
    layer_decay: Domain = Fixed(1.0)
    label_smoothing: Domain = Fixed(0.0)
    augment: Domain = Fixed("none")
    image_size: Domain = Fixed(224)
    warmup_epochs: Domain = Fixed(0.5)
    schedule: Domain = Fixed("cosine")


class BackboneSpec(Section):
    """Settings of one backbone: its weights, and domains that replace or add to `search`."""

    weights: Text | None = None  # "pretrained", "random", or a .safetensors / .pth file
    search: Space = Field(default={})


def _read_folds(raw: object) -> object:
    return None if raw == "none" else raw


Folds = Annotated[
    Annotated[int, Field(ge=2, le=20)] | None,
    BeforeValidator(_read_folds),
    PlainSerializer(lambda folds: "none" if folds is None else folds),
]


class TrainingSpec(Section):
    """What all trials share."""

    class_weights: Literal["none", "balanced"] = "none"
    clip_norm: Annotated[float, Field(ge=0)] = 1.0  # 0 switches clipping off
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    prefix_cache: Literal["auto", "off"] = "auto"
    fused_heads: Literal["auto", "off"] = "auto"
    checkpoint_seconds: Annotated[float, Field(ge=0)] = 30.0  # 0: at the end of every epoch


class MemberSpec(Section):
    """A member of a family (sampler, pruner, executor) by name, with its options."""

    name: Text
    options: dict[str, Any] = Field(default={})


class BudgetSpec(Section):
    """When to stop. The first limit reached ends the study."""

    trials: Count = 20
    epochs: Count = 10  # at most, per trial
    time: Duration | None = None  # seconds of wall time, per study
    total_epochs: Count | None = None
    trial_time: Duration | None = None  # seconds, per trial
    patience: Count | None = None  # trials in a row without a better score
    target: float | None = None
    failures: Count = 5  # failed trials in a row


class FinalsSpec(Section):
    """Who is trained again when the search is over, and how often.

    The `top` candidates at most, of those that are tied with the best, and the references; each
    with `seeds` seeds, on the study's own split or on each of `folds` folds.
    """

    top: Annotated[int, Field(ge=1, le=100)] = 3
    seeds: Annotated[int, Field(ge=1, le=100)] = 3
    folds: Folds = None  # of train and validation together; None, written `none`: their own split


def _read_finals(raw: object) -> object:
    if isinstance(raw, Mapping) or raw is None or isinstance(raw, FinalsSpec):
        return raw
    if raw == "off":
        return None
    raise ValueError(f"{raw!r} is not allowed. Allowed: off, or for example {{top: 3, seeds: 3}}.")


def _write_finals(finals: FinalsSpec | None) -> Any:
    return "off" if finals is None else finals.model_dump(mode="json")


class LimitsSpec(Section):
    """What a network may cost, or it is never trained. A limit that is left out is none."""

    NAMES: ClassVar = ("latency_ms", "parameters", "size_mb")

    latency_ms: Amount | None = None  # one image, median
    parameters: Amount | None = None
    size_mb: Amount | None = None  # weights and buffers, in millions of bytes
    device: Device = "cpu"  # that `latency_ms` is measured on
    threads: Annotated[int, Field(ge=1, le=1024)] = 1  # likewise

    @property
    def given(self) -> bool:
        """Whether there is any limit."""
        return any(getattr(self, name) is not None for name in self.NAMES)


class KeepSpec(Section):
    """What stays on disk: the checkpoints of the `best` so many candidates, by default of all."""

    best: Count | None = None


class ScheduleSpec(Section):
    """When `selector schedule` runs the study, and what becomes of a time that it cannot keep."""

    cron: Cron  # minute, hour, day of month, month, day of week
    timezone: TimeZone = "UTC"
    overlap: Literal["skip", "queue"] = "skip"  # due while an earlier firing goes on
    catch_up: Literal["once", "none"] = "once"  # due while no scheduler was looking


def _read_member(raw: object) -> object:
    """`name` or `{name: ..., option: ...}` as a member with its options."""
    if isinstance(raw, str):
        return MemberSpec(name=raw) if raw else {"name": raw}
    if isinstance(raw, Mapping):
        if "name" not in raw:
            raise ValueError("the name is missing; write a name, or {name: ..., option: ...}.")
        options = {str(key): value for key, value in raw.items() if key != "name"}
        return {"name": raw["name"], "options": options}
    return raw


def _read_members(raw: object) -> object:
    return tuple(_read_member(each) for each in raw) if isinstance(raw, list) else raw


def _read_pruner(raw: object) -> object:
    return _read_member("none" if raw is None else raw)


def _write_member(member: MemberSpec) -> Any:
    return {"name": member.name, **member.options} if member.options else member.name


Sampler = Annotated[MemberSpec, BeforeValidator(_read_member), PlainSerializer(_write_member)]
Executor = Annotated[MemberSpec, BeforeValidator(_read_member), PlainSerializer(_write_member)]
Pruner = Annotated[MemberSpec, BeforeValidator(_read_pruner), PlainSerializer(_write_member)]
Writers = Annotated[
    tuple[MemberSpec, ...],
    BeforeValidator(_read_members),
    PlainSerializer(lambda members: [_write_member(each) for each in members]),
]
Finals = Annotated[FinalsSpec | None, BeforeValidator(_read_finals), PlainSerializer(_write_finals)]
StartFrom = Annotated[
    tuple[dict[str, Scalar], ...], PlainValidator(conditions.read_start_from), PlainSerializer(list)
]


def _read_trials_per_device(raw: object) -> object:
    whole = isinstance(raw, int) and not isinstance(raw, bool)
    if raw == "auto" or (whole and 1 <= raw <= MOST_WORKERS):  # type: ignore[operator]
        return raw
    raise ValueError(f"{show(raw)} is not allowed. Allowed: auto, 1 to {MOST_WORKERS}.")


_WORKERS = {"type": "integer", "minimum": 1, "maximum": MOST_WORKERS}
TrialsPerDevice = Annotated[
    int | Literal["auto"],
    PlainValidator(_read_trials_per_device),
    WithJsonSchema({"anyOf": [_WORKERS, {"type": "string", "enum": ["auto"]}]}),
]
Decision = Annotated[Share | Literal["tune"], BeforeValidator(conditions.read_threshold)]


class StudySpec(Section):
    """A whole study file."""

    name: StudyName
    description: str = ""
    task: Text = "image_classification"
    data: DataSpec
    metric: MetricSpec
    search: SearchSpec
    weights: Literal["pretrained", "random"] = "pretrained"
    backbones: dict[str, BackboneSpec] = Field(default={})
    training: TrainingSpec = TrainingSpec()
    sampler: Sampler = MemberSpec(name="tpe")
    pruner: Pruner = MemberSpec(name="auto")
    budget: BudgetSpec = BudgetSpec()
    start_from: StartFrom = ()
    history: History = None  # written `off`: results depend on this study alone
    funnel: Literal["auto", "off"] = "auto"
    threshold: Decision = 0.5  # of two classes, for export
    finals: Finals = FinalsSpec()  # None, written `off`: there are none
    limits: LimitsSpec = LimitsSpec()
    keep: KeepSpec = KeepSpec()
    notify: NotifySpec | None = None
    writers: Writers = ()  # TensorBoard, MLflow: who else is told of every trial
    device: Device = "auto"
    executor: Executor = MemberSpec(name="local")
    workers: Annotated[int, Field(ge=1, le=MOST_WORKERS)] = 1
    trials_per_device: TrialsPerDevice = 1
    schedule: ScheduleSpec | None = None  # without one only people start it
    devices_per_trial: Annotated[int, Field(ge=1, le=MOST_WORKERS)] = 1
    seed: Seed = 0

    @property
    def backbone_names(self) -> tuple[str, ...]:
        """The backbones of the study, in the order of the file."""
        return tuple(str(name) for name in values_of(self.search.backbone))

    def space_of(self, backbone: str) -> dict[str, AnyDomain]:
        """The domain of every parameter but the backbone itself, as it holds for `backbone`."""
        if backbone not in self.backbone_names:
            raise UnknownNameError("backbone of this study", backbone, self.backbone_names)
        own = self.backbones[backbone].search if backbone in self.backbones else {}
        return {name: own.get(name, getattr(self.search, name)) for name in PARAMETERS}

    @property
    def conditional(self) -> frozenset[str]:
        """Parameters whose domain is not the same for all backbones."""
        spaces = [self.space_of(backbone) for backbone in self.backbone_names]
        return frozenset(name for name in PARAMETERS if len({space[name] for space in spaces}) > 1)

    def shared_space(self) -> dict[str, AnyDomain]:
        """The domains that hold for every backbone."""
        space = self.space_of(self.backbone_names[0])
        return {name: space[name] for name in PARAMETERS if name not in self.conditional}

    @field_validator("name")
    @classmethod
    def _not_of_finals(cls, name: str) -> str:
        if name.endswith(FINALS):
            raise ValueError(f"{name!r} ends in {FINALS}, as only a study's finals are called.")
        return name

    @model_validator(mode="wrap")
    @classmethod
    def _consistent(cls, raw: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(raw, Mapping):
            raw = {k: v for k, v in raw.items() if v is not None or k not in MAY_BE_EMPTY}
        fields = SearchSpec.model_fields
        defaults = {name: fields[name].default for name in PARAMETERS}
        mistakes = conditions.of_study(raw, defaults=defaults) + conditions.of_threshold(raw)
        return _with(mistakes, raw, handler)


def _with(mistakes: list[Mistake], raw: Any, handler: ModelWrapValidatorHandler[_Part]) -> _Part:
    """The validated part, or its own mistakes and those between its keys, all at once."""
    try:
        part = handler(raw)
    except ValidationError as error:
        refuse(mistakes, error)
        raise
    refuse(mistakes)
    return part
