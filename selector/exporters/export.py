"""One export, read from top to bottom: candidate, validation images, bundle, parity gate."""

from __future__ import annotations

import datetime as dt
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from selector import backbones, data, exporters, selection
from selector.errors import ConflictError, DataError, InputError, ParityError
from selector.exporters import bundle, gate, shipping
from selector.exporters.base import Exporter, Shipment, preprocessing_to_plain, shipment_of
from selector.exporters.card import CardFacts, card
from selector.exporters.requirements import pinned
from selector.outcome import standings
from selector.predict import Predictor, candidate_of, load_predictor
from selector.records import (
    Bytes,
    ExportedBundle,
    Finalist,
    LeaderboardRow,
    OpenedScore,
    Opening,
    ParityReport,
    StudyRow,
    Threshold,
    TrialRow,
)
from selector.selection import threshold as thresholds
from selector.selection.certainty import positive_class
from selector.selection.seal import begun_after, opened_at
from selector.settings import load_settings
from selector.spec import StudySpec, from_plain
from selector.store import Store

STEPS = (
    "An image is turned upright by its EXIF orientation and made RGB (transparency on white); its "
    "shorter side is resized to `size`, the centre square is kept."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """What is exported and to where; None means what the study says, or the usual."""

    trial: int | None = None
    fmt: str = exporters.DEFAULT
    output: Path | None = None
    force: bool = False
    threshold: float | Literal["tune"] | None = None
    base: Path | None = None  # the folder that the study file's relative paths start at


def export(store: Store, study: str, options: ExportOptions | None = None) -> ExportedBundle:
    """A bundle of the study's best candidate, or of the trial asked for, that passed the gate.

    Raises InputError for a wrong study, trial or format, ConflictError where the folder exists or
    the data has changed, UnavailableError for what is missing here, and ParityError where the
    exported file does not score what is stored; that bundle is left under `NAME.failed`.
    """
    options = options or ExportOptions()
    exporter = exporters.load(options.fmt)
    source = _source(store, study, options)
    target = options.output or Path(f"{study}-trial-{source.candidate.number:04d}-{options.fmt}")
    bundle.refuse_overwriting(target, force=options.force)
    reference = _reference(store, source)
    shipment = shipment_of(source.predictor, backbone=source.candidate.backbone)
    with bundle.new_folder(target) as folder:
        about = _write(folder, exporter, shipment, source, options)
        parity = gate.check(folder, reference, threads=source.spec.limits.threads)
        met = shipping.measured(
            source.spec.limits,
            parity,
            candidate=source.candidate,
            predictor=source.predictor,
            before=store.costs(study),
        )
        _complete(folder, about, parity, store, source, met)
        if not parity.passed:
            failed = bundle.failed_name(target)
            bundle.refuse_overwriting(failed, force=True)
            bundle.move(folder, failed)
            raise ParityError(
                f"The exported file does not pass the parity gate: {gate.failure(parity)}. "
                f"Nothing to ship; it is left in '{failed}'."
            )
        path = bundle.move(folder, target)
        store.record_bundle(
            study,
            source.candidate.number,
            fmt=options.fmt,
            folder=path.absolute(),
            sha256=bundle.fingerprint(path),
            size=bundle.size(path),
        )
        return ExportedBundle(path, parity, met.unmet, met.unchecked)


@dataclass(frozen=True, slots=True)
class _Source:
    """A candidate with everything that is known of it."""

    study: StudyRow
    spec: StudySpec
    candidate: TrialRow
    predictor: Predictor
    environment: Mapping[str, Any]  # of the study's last run
    on_cpu: bool  # all runs were
    base: Path
    threshold: Threshold | None

    @property
    def positive(self) -> int | None:
        """The index of the metric's positive class, where it has one."""
        return positive_class(self.study)


def _source(store: Store, study: str, options: ExportOptions) -> _Source:
    found = store.require_study(study)
    candidate = candidate_of(store, study, trial=options.trial)
    spec = from_plain(found.spec)
    runs = store.runs(study)
    environment = runs[-1].environment if runs else {}
    devices = [str(run.environment.get("device", "")) for run in runs]
    predictor = load_predictor(
        load_settings().artifacts / str(candidate.checkpoint),
        device=torch.device("cpu"),
        sha256=candidate.checkpoint_sha256,
    )
    return _Source(
        found,
        spec,
        candidate,
        predictor,
        environment,
        on_cpu=bool(devices) and all(device.startswith("cpu") for device in devices),
        base=options.base or next(iter(store.folders(study)), Path()),
        threshold=_threshold(store, found, spec, candidate, options),
    )


def _threshold(
    store: Store, study: StudyRow, spec: StudySpec, candidate: TrialRow, options: ExportOptions
) -> Threshold | None:
    """The threshold of two classes; None of more."""
    wanted = spec.threshold if options.threshold is None else options.threshold
    names = study.data.class_names
    if len(names) != 2:
        if options.threshold is not None:
            raise InputError(
                f"--threshold is for two classes, and study '{study.name}' has {len(names)}."
            )
        return None
    # Without a class that the study calls positive, the second one is, as in scikit-learn.
    name = spec.metric.positive_class
    positive = 1 if name is None else names.index(name)
    if wanted != "tune":
        return Threshold(names[positive], float(wanted))
    labels = study.data.validation_labels
    predicted = store.log_probabilities(study.name, candidate.number)
    return thresholds.tune(study.metric, labels, predicted, class_names=names, positive=positive)


def _reference(store: Store, source: _Source) -> gate.Reference:
    """The validation split's raw images and what the candidate said of them."""
    study, candidate = source.study, source.candidate
    return gate.Reference(
        images=_images(source),
        labels=study.data.validation_labels,
        class_names=study.data.class_names,
        log_probabilities=store.log_probabilities(study.name, candidate.number),
        metric=study.metric,
        positive=source.positive,
        score=float(candidate.score or 0.0),
        exact=source.on_cpu and source.predictor.about["precision"] == "fp32",
        threshold=source.threshold,
    )


def _images(source: _Source) -> tuple[Path, ...] | Bytes:
    """The validation images as they lie there, after the proof that they are still the same."""
    try:
        dataset = data.inspect(source.spec.data, base=source.base, cache=load_settings().cache)
    except DataError as error:
        hint = f"Relative paths start at '{source.base}'; name another folder with --base."
        raise DataError([*error.problems, hint]) from error
    known, found = source.study.data, dataset.summary
    if (found.fingerprint, found.validation_ids) != (known.fingerprint, known.validation_ids):
        raise ConflictError(
            f"The data of study '{source.study.name}' has changed since it ran, so its scores "
            "cannot be checked. Restore the data, or name the folder that it lies in: --base."
        )
    members = [int(index) for index in dataset.splits.validation]
    paths = [dataset.images.path(index) for index in members]
    files = tuple(path for path in paths if path is not None)
    if len(files) == len(members):
        return files
    return np.stack([np.asarray(dataset.images.load(index).image) for index in members])


def _write(
    folder: Path,
    exporter: Exporter,
    shipment: Shipment,
    source: _Source,
    options: ExportOptions,
) -> dict[str, Any]:
    """Everything that predicts; gives the content of bundle.json."""
    requirements = pinned(exporter.requirements(shipment))
    extra = exporter.write(shipment, folder / exporter.file)
    bundle.write_programs(folder, fmt=options.fmt, requirements=requirements)
    about = _about(exporter, shipment, source, options)
    about = {**about, "requirements": list(requirements), **extra}
    bundle.write_about(folder, about)
    return about


def _about(
    exporter: Exporter, shipment: Shipment, source: _Source, options: ExportOptions
) -> dict[str, Any]:
    study, size = source.study, shipment.preprocessing.size
    licences = backbones.licences(
        source.candidate.backbone, weights=source.predictor.about["weights"]
    )
    classes = list(shipment.class_names)
    return {
        "study": study.name,
        "trial": source.candidate.number,
        "task": source.spec.task,
        "backbone": source.candidate.backbone,
        "format": options.fmt,
        "file": exporter.file,
        "input": {"name": "pixels", "shape": ["batch", size, size, 3], "dtype": "uint8"},
        "output": {
            "name": "log_probabilities",
            "shape": ["batch", len(classes)],
            "dtype": "float32",
        },
        "class_names": classes,
        "threshold": _threshold_plain(source.threshold),
        "preprocessing": preprocessing_to_plain(shipment.preprocessing),
        "preprocessing_steps": STEPS,
        "normalised_by": exporter.normalised_by,
        "precision": "fp32",
        "trained_precision": source.predictor.about["precision"],
        "initial_weights": source.predictor.about["weights"],
        "seed": source.candidate.seed,
        "metric": {
            "name": study.metric,
            "goal": study.goal,
            "positive_class": source.spec.metric.positive_class,
            "validation_score": source.candidate.score,
        },
        "fingerprint": study.data.fingerprint,
        "licences": [asdict(licence) for licence in licences],
        "command": _command(source, options),
    }


def _command(source: _Source, options: ExportOptions) -> str:
    """What makes this bundle again, also when another candidate has taken the lead."""
    words = ["selector", "export", source.study.name, "--trial", str(source.candidate.number)]
    words += ["--format", options.fmt]
    if options.threshold is not None:
        words += ["--threshold", str(options.threshold)]
    return shlex.join(words)


def _threshold_plain(threshold: Threshold | None) -> dict[str, Any] | None:
    if threshold is None:
        return None
    return {
        "class": threshold.positive_class,
        "value": threshold.value,
        "tuned_for": threshold.tuned_for,
        "validation_score": threshold.score,
    }


def _complete(
    folder: Path,
    about: Mapping[str, Any],
    parity: ParityReport,
    store: Store,
    source: _Source,
    met: shipping.Shipped,
) -> None:
    """Add what the gate found and the model card, and list every file in bundle.json."""
    bundle.write_json(folder / bundle.PARITY, asdict(parity))
    study, number = source.study, source.candidate.number
    looks = store.openings_of_data(study.name)
    opened, other_looks = _looks(source, looks)
    facts = CardFacts(
        study=study,
        candidate=_ranked(store, source),
        class_scores=store.class_scores(study.name, number),
        log_probabilities=store.log_probabilities(study.name, number),
        environment=source.environment,
        about=about,
        threshold=source.threshold,
        licences=backbones.licences(
            source.candidate.backbone, weights=source.predictor.about["weights"]
        ),
        parity=parity,
        shipped=met,
        limits=source.spec.limits,
        finalist=_finalist(store, source),
        opened=opened,
        other_looks=other_looks,
        after_opening=bool(begun_after([source.candidate], opened_at(looks))),
        made_at=dt.datetime.now(dt.UTC),
    )
    (folder / bundle.CARD).write_text(card(facts), encoding="utf-8")
    bundle.write_about(folder, about)


def _finalist(store: Store, source: _Source) -> Finalist | None:
    """What the finals found of the candidate; None where it was in none, or they have not ended."""
    found = standings(store, source.study, store.trials(source.study.name))
    if found is None or not found.decided:
        return None
    return next((f for f in found.finalists if f.trial == source.candidate.number), None)


def _looks(
    source: _Source, looks: Sequence[Opening]
) -> tuple[OpenedScore | None, tuple[Opening, ...]]:
    """What the candidate last scored on the test split, if it was, and all looks at others."""
    opened, others = None, []
    for look in looks:
        by_it = look.is_by(source.study.name)
        own = [s for s in look.scores if by_it and s.trial == source.candidate.number]
        if own:
            opened = own[-1]
        elif look.scores:  # without, nobody has seen anything
            others.append(look)
    return opened, tuple(others)


def _ranked(store: Store, source: _Source) -> LeaderboardRow:
    """The candidate with its interval."""
    study, number = source.study, source.candidate.number
    board = selection.build(
        study,
        [source.candidate],
        predictions={number: store.log_probabilities(study.name, number)},
        counts=store.counts(study.name),
    )
    return board.candidates[0]
