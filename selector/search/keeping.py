"""What a completed trial leaves behind: its checkpoint, predictions and every metric."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from selector import metrics
from selector.records import Candidate, EpochRecord, Floats, Recipe, TrainingData
from selector.search.context import StudyContext, positive_class
from selector.training import (
    Network,
    latency_ms,
    out_of_memory_fails_the_trial,
    save_checkpoint,
)

FORMAT = "1"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a candidate comes from."""

    number: int
    recipe: Recipe
    weights: str
    best: EpochRecord


def keep(
    network: Network,
    log_probabilities: Floats,
    origin: Origin,
    *,
    data: TrainingData,
    context: StudyContext,
) -> Candidate:
    """Write the checkpoint of the best epoch and compute all metrics on its predictions.

    `network` holds the best epoch's weights, `log_probabilities` (n_validation, n_classes) are what
    it said of the validation split. Raises UnavailableError where the checkpoint cannot be written.
    """
    with out_of_memory_fails_the_trial(origin.recipe, context.device):
        labels = data.validation.labels
        positive = positive_class(context.spec, data.class_names)
        saved = save_checkpoint(
            context.artifacts / context.spec.name / f"trial-{origin.number:04d}",
            network.trained_state(),
            _metadata(network, origin, data=data, context=context),
        )
        return Candidate(
            metrics=metrics.compute_all(labels, log_probabilities, positive=positive),
            class_scores=metrics.per_class(labels, log_probabilities, data.class_names),
            log_probabilities=log_probabilities,
            parameters=network.parameter_count(),
            trained_parameters=network.trained_parameter_count(),
            latency_ms=latency_ms(
                network, device=context.device, precision=origin.recipe.precision
            ),
            checkpoint=saved.path.relative_to(context.artifacts).as_posix(),
            checkpoint_sha256=saved.sha256,
            checkpoint_bytes=saved.bytes,
        )


def _metadata(
    network: Network, origin: Origin, *, data: TrainingData, context: StudyContext
) -> dict[str, str]:
    """What `selector.predict` needs to build the network again, as strings."""
    return {
        "format": FORMAT,
        "study": context.spec.name,
        # Tells this study from one of the same name in a store that shares the artifacts folder.
        "study_created": context.stored().created_at.isoformat(),
        "trial": str(origin.number),
        "task": context.spec.task,
        "backbone": origin.recipe.backbone,
        "weights": origin.weights,
        "weights_id": network.backbone.weights_id,
        "weights_seed": str(origin.recipe.seed),
        "precision": origin.recipe.precision,
        "freeze_depth": str(origin.recipe.freeze_depth),
        "preprocessing": json.dumps(asdict(network.backbone.preprocessing)),
        "class_names": json.dumps(data.class_names),
        "metric": context.spec.metric.name,
        "score": repr(origin.best.score),
        "epoch": str(origin.best.epoch),
    }
