"""Random legal studies, as hypothesis draws them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from selector.spec.parameters import PARAMETERS, Parameter

BACKBONES = ("toy:cnn", "timm:resnet18", "timm:vit_tiny.augreg", "file x")
_TEXT = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12)
_TRICKY = st.sampled_from(
    ["no", "1e-4", "null", "~", "12:30", "${HOME}", "$${A", "a: b", "- x", "#x", "007", "é", " a "]
)
TEXT = _TEXT | _TRICKY


def _values(parameter: Parameter) -> st.SearchStrategy[Any]:
    if parameter.kind == "name":
        return st.sampled_from(parameter.names)
    high = 50.0 if parameter.high is None else parameter.high
    if parameter.kind == "int":
        return st.integers(int(parameter.low), int(high))
    return st.floats(
        parameter.low,
        high,
        exclude_min=parameter.without_low,
        exclude_max=parameter.without_high,
        allow_subnormal=False,
    )


@st.composite
def domains(draw: st.DrawFn, parameter: Parameter) -> Any:
    """A legal domain of the parameter in the syntax of the study file."""
    values = _values(parameter)
    kinds = ["value", "list", "choice"]
    kinds += {"name": [], "int": ["int", "int_log"], "real": ["uniform", "log_uniform"]}[
        parameter.kind
    ]
    kind = draw(st.sampled_from(kinds))
    if kind == "value":
        return draw(values)
    choices = draw(st.lists(values, min_size=1, max_size=4, unique=True))
    if kind in ("list", "choice"):
        return choices if kind == "list" else {"choice": choices}
    ends = sorted(draw(st.lists(values, min_size=2, max_size=2)))
    if kind in ("log_uniform", "int_log") and ends[0] <= 0:
        return ends[1]
    return {"int": ends, "log": True} if kind == "int_log" else {kind: ends}


def spaces() -> st.SearchStrategy[dict[str, Any]]:
    """Domains for some of the parameters."""
    parts = {name: domains(parameter) for name, parameter in PARAMETERS.items()}
    return st.fixed_dictionaries({}, optional=parts)


_OPTIONS = st.dictionaries(
    TEXT.filter(lambda key: key != "name"),
    st.integers(-100, 100)
    | st.booleans()
    | TEXT
    | st.floats(-1e9, 1e9)
    | st.lists(TEXT, max_size=2),
    max_size=3,
)
_MEMBERS = st.sampled_from(["random", "none"]) | _OPTIONS.map(lambda o: {"name": "tpe", **o})
_FINALS = st.sampled_from(["off", None, {"seeds": 2}, {"top": 5, "folds": "none"}, {"folds": 4}])
_DURATIONS = st.sampled_from(["90s", "1h30m", 2.5, 7200, "2d"])


@st.composite
def studies(draw: st.DrawFn) -> dict[str, Any]:
    """A legal study file as plain values."""
    backbones = draw(st.lists(st.sampled_from(BACKBONES), min_size=1, unique=True))
    blocks = draw(st.dictionaries(st.sampled_from(backbones), spaces(), max_size=2))
    optional = {
        "description": TEXT,
        "weights": st.sampled_from(["pretrained", "random"]),
        "sampler": _MEMBERS,
        "pruner": _MEMBERS | st.none(),
        "device": st.sampled_from(["auto", "cpu", "cuda:1"]),
        "workers": st.integers(1, 256),
        "devices_per_trial": st.integers(1, 256),
        "trials_per_device": st.integers(1, 256) | st.just("auto"),
        "seed": st.integers(0, 2**32 - 1),
        "threshold": st.just("tune") | st.floats(0, 1, exclude_min=True, exclude_max=True),
        "budget": st.fixed_dictionaries(
            {"trials": st.integers(1, 10**9)},
            optional={"time": _DURATIONS, "trial_time": _DURATIONS, "target": st.floats(-5, 5)},
        ),
        "finals": _FINALS,
        "start_from": st.just([{"backbone": backbones[0]}]),
    }
    return {
        "name": draw(st.from_regex(r"\A[a-z0-9][a-z0-9._-]{0,20}\Z")),
        "data": {draw(st.sampled_from(["path", "source"])): draw(TEXT)},
        "metric": {"name": "f1_macro", "goal": "maximize", "positive_class": draw(TEXT)},
        "search": {"backbone": backbones, **draw(spaces())},
        "backbones": {name: {"search": space} for name, space in blocks.items()},
        **draw(st.fixed_dictionaries({}, optional=optional)),
    }
