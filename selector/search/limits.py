"""What the networks of a study cost, measured before the search where the study limits that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from selector import backbones
from selector.environment import choose_device
from selector.errors import InputError
from selector.records import NetworkCost
from selector.search.recipe import weights_of
from selector.spec import StudySpec
from selector.spec.domains import Choice, Fixed
from selector.spec.limits import sizes_of
from selector.tasks import Task
from selector.training import Network, latency_ms, precision, prepare_process

Progress = Callable[[int, int], None]  # networks measured, of how many


def check(spec: StudySpec) -> None:
    """Raise InputError where the limits cannot be checked before training."""
    if not spec.limits.given:
        return
    for name in spec.backbone_names:
        domain = spec.space_of(name)["image_size"]
        if not isinstance(domain, Fixed | Choice):
            raise InputError(
                f"limits need every image size of '{name}' to be measured: write search.image_size "
                f"as a value or a list, such as [{domain.low}, {domain.high}]."
            )
    if spec.limits.latency_ms is not None:
        choose_device(spec.limits.device)


def measure(
    spec: StudySpec, *, base: Path, task: Task, classes: int, progress: Progress
) -> tuple[NetworkCost, ...]:
    """What each backbone costs at each of its image sizes; nothing where no limit is given."""
    if not spec.limits.given:
        return ()
    pairs = [(name, size) for name in spec.backbone_names for size in sizes_of(spec, name)]
    threads = torch.get_num_threads()
    prepare_process(spec.limits.threads)
    try:
        found = []
        for done, (name, size) in enumerate(pairs, start=1):
            found.append(_measure(spec, name, size, base=base, task=task, classes=classes))
            progress(done, len(pairs))
        return tuple(found)
    finally:
        torch.set_num_threads(threads)


def _measure(
    spec: StudySpec, name: str, size: int, *, base: Path, task: Task, classes: int
) -> NetworkCost:
    # Weights from a file may change the architecture's size; downloaded ones do not.
    weights = weights_of(spec, name, base=base)
    weights = "random" if weights == "pretrained" else weights
    backbone = backbones.load(name, weights=weights, image_size=size, seed=spec.seed)
    head = task.head(backbone.feature_dim, classes, seed=spec.seed)
    network = Network(backbone, head, freeze_depth=0)
    tensors = network.state_dict().values()
    return NetworkCost(
        backbone=name,
        image_size=size,
        parameters=network.parameter_count(),
        size_mb=sum(tensor.numel() * tensor.element_size() for tensor in tensors) / 1e6,
        latency_ms=_latency(network, spec),
        device=str(choose_device(spec.limits.device)) if spec.limits.latency_ms else "cpu",
        threads=spec.limits.threads,
    )


def _latency(network: Network, spec: StudySpec) -> float | None:
    if spec.limits.latency_ms is None:
        return None
    device = choose_device(spec.limits.device)
    kind = precision.resolve(spec.training.precision, device)
    return latency_ms(network, device=device, precision=kind)
