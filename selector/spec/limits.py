"""Ship limits: which backbones and image sizes are too costly to be searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from selector.errors import LimitsUnmetError
from selector.records import NetworkCost
from selector.spec.domains import AnyDomain, Choice, Fixed, values_of
from selector.spec.schema import BackboneSpec, LimitsSpec, StudySpec


def narrowed(spec: StudySpec, costs: Sequence[NetworkCost]) -> StudySpec:
    """The study without the backbones and image sizes that exceed its limits by `costs`.

    The same costs always leave the same search space. Raises LimitsUnmetError, with every
    measurement, where nothing is left.
    """
    if not costs:
        return spec
    over = {(cost.backbone, cost.image_size) for cost in costs if exceeded(cost, spec.limits)}
    allowed = {
        name: tuple(size for size in sizes_of(spec, name) if (name, size) not in over)
        for name in spec.backbone_names
    }
    left = tuple(name for name, sizes in allowed.items() if sizes)
    if not left:
        lines = "\n".join(f"  {line}" for line in left_out(spec, costs))
        raise LimitsUnmetError(
            f"No backbone of study '{spec.name}' meets its limits:\n{lines}\n"
            "Raise a limit, or name smaller backbones or image sizes."
        )
    blocks = {name: _block(spec, name, allowed[name]) for name in left}
    return spec.model_copy(
        update={
            "search": spec.search.model_copy(update={"backbone": _domain(left)}),
            "backbones": {name: block for name, block in blocks.items() if block is not None},
            "start_from": tuple(start for start in spec.start_from if _allowed(start, allowed)),
        }
    )


def left_out(spec: StudySpec, costs: Sequence[NetworkCost]) -> tuple[str, ...]:
    """One line for each backbone and image size that is not trained, with what exceeds what."""
    return tuple(
        f"{cost.backbone} at {cost.image_size} px: {', '.join(reasons)}"
        for cost in costs
        if (reasons := exceeded(cost, spec.limits))
    )


def exceeded(cost: NetworkCost, limits: LimitsSpec) -> tuple[str, ...]:
    """The limits that a network exceeds, each as `latency_ms 35.1 > 12`."""
    return tuple(
        f"{name} {_number(measured)} > {_number(limit)}"
        for name in LimitsSpec.NAMES
        if (limit := getattr(limits, name)) is not None
        and (measured := getattr(cost, name)) is not None
        and measured > limit
    )


def networks_of(spec: StudySpec) -> set[tuple[str, int]]:
    """Each backbone with each image size, where the study limits what they may cost."""
    if not spec.limits.given:
        return set()
    return {(name, size) for name in spec.backbone_names for size in sizes_of(spec, name)}


def merged(known: Sequence[NetworkCost], found: Sequence[NetworkCost]) -> tuple[NetworkCost, ...]:
    """All costs, of a network that was measured twice the first."""
    seen = {(cost.backbone, cost.image_size) for cost in known}
    return (*known, *(each for each in found if (each.backbone, each.image_size) not in seen))


def sizes_of(spec: StudySpec, backbone: str) -> tuple[int, ...]:
    """The image sizes written for a backbone."""
    return tuple(int(size) for size in values_of(spec.space_of(backbone)["image_size"]))


def _block(spec: StudySpec, name: str, sizes: tuple[int, ...]) -> BackboneSpec | None:
    """The backbone's own settings, with the image sizes that are left where some are not."""
    block = spec.backbones.get(name)
    if sizes == sizes_of(spec, name):
        return block
    block = block or BackboneSpec()
    return block.model_copy(update={"search": {**block.search, "image_size": _domain(sizes)}})


def _domain(values: Sequence[Any]) -> AnyDomain:
    return Choice(tuple(values)) if len(values) > 1 else Fixed(values[0])


def _allowed(start: Mapping[str, Any], allowed: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether a configuration of `start_from` can still be drawn."""
    sizes = (
        [allowed.get(str(start["backbone"]), ())] if "backbone" in start else list(allowed.values())
    )
    size = start.get("image_size")
    return any(each if size is None else size in each for each in sizes)


def _number(value: float) -> str:
    return f"{value / 1e6:.2f}M" if value >= 1e6 else f"{value:.4g}"
