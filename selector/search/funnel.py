"""A look at every backbone before the first trial: what its untouched features are worth.

The scores order the planned trials and never leave a backbone out. They are stored, so that the
reports can say later how much they were worth.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

import torch

from selector import backbones
from selector.backbones.base import STAGES
from selector.events import FunnelEnded
from selector.records import BackboneProxies, TrainingData
from selector.search.claims import Claims
from selector.search.context import StudyContext
from selector.search.recipe import weights_of
from selector.selection.proxies import preferred
from selector.spec.domains import values_of
from selector.training import Network, precision
from selector.training.proxies import (
    knn_log_probabilities,
    pooled_features,
    probe_log_probabilities,
)

TIME_SHARE = 0.25  # of `budget.time`, after which no further backbone is looked at


def backbone_order(claims: Claims, context: StudyContext) -> tuple[str, ...]:
    """All backbones of the study, the most promising first; measured once in a study's life.

    Those that could not be measured come last, in the order of the study file.
    """
    spec = context.spec
    proxies = context.store.proxies(spec.name)
    wanted = spec.funnel == "auto" and len(spec.backbone_names) > 1
    if wanted and not proxies and claims.untouched:
        proxies = _measure_all(claims, context)
    return preferred(spec.backbone_names, proxies, goal=spec.metric.goal)


def _measure_all(claims: Claims, context: StudyContext) -> tuple[BackboneProxies, ...]:
    """Measure, store and announce; what the store has afterwards."""
    started, spec = time.monotonic(), context.spec
    limit = math.inf if spec.budget.time is None else TIME_SHARE * spec.budget.time
    measured: list[BackboneProxies] = []
    missing: dict[str, str] = {}
    for name in spec.backbone_names:
        if time.monotonic() - started > limit:
            missing[name] = f"{TIME_SHARE:.0%} of budget.time is spent"
            continue
        try:
            measured.append(_measure(name, context))
        except Exception as failure:  # noqa: BLE001 - the funnel's edge: an order is worth no study
            # If it is not the funnel's own trouble, the backbone's first trial meets it too.
            first_line = str(failure).partition("\n")[0]
            missing[name] = first_line or type(failure).__name__
    if measured:
        claims.ride_out(lambda: context.store.record_proxies(spec.name, measured))
    stored = claims.ride_out(lambda: context.store.proxies(spec.name))
    context.observe(_ended(stored, missing, context, seconds=time.monotonic() - started))
    return stored


def _measure(name: str, context: StudyContext) -> BackboneProxies:
    """The proxies of one backbone at its smallest image size, on the study's metric."""
    started, spec = time.monotonic(), context.spec
    image_size = min(int(size) for size in values_of(spec.space_of(name)["image_size"]))
    weights = weights_of(spec, name, base=context.base)
    backbone = backbones.load(name, weights=weights, image_size=image_size, seed=spec.seed)
    data = context.decode(backbone.preprocessing)
    head = context.task.head(backbone.feature_dim, len(data.class_names), seed=spec.seed)
    knn, probe = _scores(Network(backbone, head, freeze_depth=STAGES), data, context)
    return BackboneProxies(
        backbone=name,
        image_size=image_size,
        knn=knn,
        probe=probe,
        parameters=sum(backbone.stage_parameters()),
        seconds=time.monotonic() - started,
    )


def _scores(network: Network, data: TrainingData, context: StudyContext) -> tuple[float, float]:
    """The study's metric of the neighbours' vote and of the linear probe."""
    device = context.device
    train, validation = (
        pooled_features(
            network,
            split,
            device=device,
            precision=precision.resolve(context.spec.training.precision, device),
            prefix_cache=context.prefix_cache,
        )
        for split in (data.train, data.validation)
    )
    if not (train.isfinite().all() and validation.isfinite().all()):
        raise ArithmeticError("its features are not finite")
    labels = torch.tensor(data.train.labels, dtype=torch.int64, device=device)
    scores = []
    for predict in (knn_log_probabilities, probe_log_probabilities):
        predicted = predict(train, labels, validation, n_classes=len(data.class_names))
        scores.append(context.score(data.validation.labels, predicted, data.class_names))
    if not all(map(math.isfinite, scores)):
        raise ArithmeticError(f"{context.spec.metric.name} of its features is not finite")
    return scores[0], scores[1]


def _ended(
    stored: tuple[BackboneProxies, ...],
    missing: Mapping[str, str],
    context: StudyContext,
    *,
    seconds: float,
) -> FunnelEnded:
    spec = context.spec
    order = preferred(spec.backbone_names, stored, goal=spec.metric.goal)
    known = {row.backbone for row in stored}
    return FunnelEnded(
        order=tuple(name for name in order if name in known),
        missing={name: why for name, why in missing.items() if name not in known},
        seconds=seconds,
    )
