"""How what was exported stands to the study's ship limits, measured on the exported file itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selector.environment import choose_device
from selector.errors import UnavailableError
from selector.predict import Predictor
from selector.records import NetworkCost, ParityReport, TrialRow
from selector.spec.limits import exceeded
from selector.spec.schema import LimitsSpec
from selector.training import latency_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """What an exported network costs, the limits it exceeds, and what could not be measured."""

    cost: NetworkCost
    unmet: tuple[str, ...]  # each as `latency_ms 35.1 > 12`
    unchecked: str | None  # why there is no latency on the device of the limit


def measured(
    limits: LimitsSpec,
    parity: ParityReport,
    *,
    candidate: TrialRow,
    predictor: Predictor,
    before: Sequence[NetworkCost],
) -> Shipped:
    """What was exported beside the limits: on the device that `before` the search was measured on.

    The exported file itself runs on the processor, as the gate timed it with the limits' threads;
    for a limit on a CUDA device its network is timed there, in float32 as it was exported.
    """
    size = predictor.preprocessing.size
    known = [c.device for c in before if (c.backbone, c.image_size) == (candidate.backbone, size)]
    device = known[0] if known else limits.device
    latency, unchecked = None, None
    if limits.latency_ms is not None:
        latency, unchecked = _latency(device, parity, predictor)
    cost = NetworkCost(
        backbone=candidate.backbone,
        image_size=size,
        latency_ms=latency,
        parameters=candidate.parameters or 0,
        size_mb=parity.file_bytes / 1e6,
        device=device,
        threads=limits.threads,
    )
    return Shipped(cost=cost, unmet=exceeded(cost, limits), unchecked=unchecked)


def _latency(
    device: str, parity: ParityReport, predictor: Predictor
) -> tuple[float | None, str | None]:
    """Milliseconds for one image on `device`, or why they are not known."""
    try:
        found = choose_device(device)
    except UnavailableError:
        return None, (
            f"The limit latency_ms was not checked again on what was exported: it is one for "
            f"'{device}', which is not here. Export once more where it is."
        )
    if found.type == "cpu":
        return parity.latency_ms, None
    milliseconds = latency_ms(predictor.network, device=found)
    predictor.network.place(predictor.device)
    return milliseconds, None
