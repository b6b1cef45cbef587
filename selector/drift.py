"""What changed between a stored study and the study file, data and weights of now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from selector.records import DataSummary, StudyRow
from selector.spec import StudySpec, from_plain, to_plain
from selector.spec.domains import AnyDomain, Choice, Fixed, IntRange, LogUniform, Uniform, covers
from selector.spec.parameters import PARAMETERS

# What may change between two runs of one study: none of it changes what a score means.
EDITABLE = (
    "budget",
    "description",
    "device",
    "executor",
    "workers",
    "trials_per_device",
    "devices_per_trial",
    "finals",
    "funnel",
    "history",
    "keep",
    "notify",
    "schedule",
    "threshold",
    "training.checkpoint_seconds",
    "training.fused_heads",
    "training.prefix_cache",
    "writers",
)
# What scores are scores of: with another of these, old and new ones have nothing in common.
MEANING = ("metric", "task")
_SPACE = ("search", "backbones")  # compared by what they can draw, not by how they are written


@dataclass(frozen=True, slots=True)
class Drift:
    """Changes in lines for people.

    `forbidden` ones make old and new scores incomparable, `doubtful` ones may; `wider` ones only
    add to the search space.
    """

    forbidden: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()
    wider: tuple[str, ...] = ()


def compare(
    stored: StudyRow,
    spec: StudySpec,
    summary: DataSummary,
    *,
    weights_before: Mapping[str, str],
    weights_now: Mapping[str, str],
) -> Drift:
    """What changed since the study was stored; `weights_...` are hashes of files by backbone."""
    before = from_plain(stored.spec)
    kept = frozenset(before.backbone_names) & frozenset(spec.backbone_names)
    forbidden, doubtful = _keys(
        _without_space(to_plain(before), kept), _without_space(to_plain(spec), kept)
    )
    narrower, wider = _space(before, spec)
    same_validation, data = _data(stored.data, summary)
    (doubtful if same_validation else forbidden).extend(data)
    doubtful += narrower
    doubtful += [
        f"  weights of {name}: {weights_before[name][:12]} -> {now[:12]}"
        for name, now in weights_now.items()
        if weights_before.get(name, now) != now
    ]
    return Drift(tuple(forbidden), tuple(doubtful), tuple(wider))


def made_otherwise(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """What else trains than in an earlier run: packages and selector's code, a line each.

    Both are `environment.made_by`; what an older version did not record is not compared.
    """
    old, new = before.get("packages") or {}, now.get("packages") or {}
    lines = [
        f"  {name}: {_shown(old, name)} -> {_shown(new, name)}"
        for name in sorted(old.keys() | new.keys())
        if old and old.get(name) != new.get(name)
    ]
    if before.get("code", now.get("code")) != now.get("code"):
        lines.append(f"  code of selector: {before['code'][:12]} -> {now['code'][:12]}")
    return tuple(lines)


def _keys(old_tree: Mapping[str, Any], new_tree: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Changed keys outside the search space: those that change what a score is, and the others."""
    old, new = _flat(old_tree), _flat(new_tree)
    forbidden: list[str] = []
    doubtful: list[str] = []
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) == new.get(key) or _below(key, EDITABLE):
            continue
        line = f"  {key}: {_shown(old, key)} -> {_shown(new, key)}"
        (forbidden if _below(key, MEANING) else doubtful).append(line)
    return forbidden, doubtful


def _space(old: StudySpec, new: StudySpec) -> tuple[list[str], list[str]]:
    """What the search space lost, and what it gained."""
    narrower: list[str] = []
    wider: list[str] = []
    for name in old.backbone_names:
        if name not in new.backbone_names:
            narrower.append(f"  search.backbone: '{name}' -> (absent)")
    kept = [name for name in old.backbone_names if name in new.backbone_names]
    for parameter in PARAMETERS:
        changes: dict[str, list[bool]] = {}
        for name in kept:
            one, other = old.space_of(name)[parameter], new.space_of(name)[parameter]
            if one != other:
                line = f"{_written(one)} -> {_written(other)}"
                changes.setdefault(line, []).append(covers(other, one))
        for line, covered in changes.items():
            (wider if all(covered) else narrower).append(f"  search.{parameter}: {line}")
    wider += [
        f"  search.backbone: (absent) -> '{name}'"
        for name in new.backbone_names
        if name not in old.backbone_names
    ]
    return narrower, wider


def _data(old: DataSummary, new: DataSummary) -> tuple[bool, list[str]]:
    """Whether the validation split is the same, and what changed in the data."""
    if old.fingerprint == new.fingerprint:
        return True, []
    same = (
        old.validation_ids == new.validation_ids
        and old.class_names == new.class_names
        and old.validation_labels.tolist() == new.validation_labels.tolist()
    )
    was, now = _sizes(old), _sizes(new)
    return same, [f"  data: {was} ({old.fingerprint[:12]}) -> {now} ({new.fingerprint[:12]})"]


def _without_space(tree: Mapping[str, Any], kept: frozenset[str]) -> dict[str, Any]:
    """A study file without its search space, and of its backbones those in `kept`."""
    rest = {key: value for key, value in tree.items() if key not in _SPACE}
    blocks: Mapping[str, Any] = tree.get("backbones") or {}
    rest["backbones"] = {
        name: {key: value for key, value in block.items() if key != "search"}
        for name, block in blocks.items()
        if name in kept and block.get("weights") is not None
    }
    return rest


def _below(key: str, parents: tuple[str, ...]) -> bool:
    return any(key == parent or key.startswith(f"{parent}.") for parent in parents)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            leaves.update(_flat(value, f"{prefix}{key}."))
        elif not isinstance(value, Mapping):
            leaves[f"{prefix}{key}"] = value
    return leaves


def _shown(leaves: Mapping[str, Any], key: str) -> str:
    return repr(leaves[key]) if key in leaves else "(absent)"


def _written(domain: AnyDomain) -> str:
    """A domain as a study file writes it."""
    match domain:
        case Fixed(value):
            return repr(value)
        case Choice(values):
            return repr(list(values))
        case Uniform(low, high):
            return f"uniform [{low:g}, {high:g}]"
        case LogUniform(low, high):
            return f"log_uniform [{low:g}, {high:g}]"
        case IntRange(low, high):
            return f"int [{low}, {high}]"


def _sizes(summary: DataSummary) -> str:
    return "/".join(str(summary.counts[s]) for s in ("train", "validation", "test")) + " images"
