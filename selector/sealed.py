"""The test split, opened on purpose: once, for the pick, with a record of who looked and why."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from selector import data, metrics
from selector.environment import choose_device
from selector.errors import ConflictError, InputError
from selector.events import DataProgress, Observer
from selector.identity import who
from selector.predict import Predictor, candidate_of, load_predictor
from selector.records import (
    Floats,
    Ints,
    OpenedRole,
    OpenedScore,
    Opening,
    OpeningStart,
    StudyRow,
    TrialRow,
)
from selector.search.storage import reachable
from selector.selection import resample
from selector.selection.best import references
from selector.selection.certainty import positive_class
from selector.selection.intervals import percentile_interval
from selector.selection.seal import whose
from selector.settings import load_settings
from selector.spec import StudySpec, from_plain
from selector.store import Store, study_lock
from selector.training import prepare_process

FIRST = "final evaluation of the pick"  # the reason that needs no words


def open_test_split(
    store: Store,
    name: str,
    *,
    trial: int | None = None,
    why: str | None = None,
    again: bool = False,
    folder: Path | None = None,
    device: str = "auto",
    observe: Observer,
) -> Opening:
    """Score the pick, or `trial`, and the reference on the test split, and record that.

    Relative paths of the study's data start at `folder`, by default the one its last run used.
    Raises ConflictError where the split was opened before, for this study or another one on the
    same data, deleted or not, and `again` is not given, or where the data is no longer that of
    the study; InputError where there is nothing to score. Nothing is recorded before everything
    else has proved to work.
    """
    study = store.require_study(name)
    _refuse_another(store, name, why=why, again=again)
    pick = candidate_of(store, name, trial=trial)
    dataset = _dataset(study, _folder(store, name, folder), observe=observe)
    prepare_process()
    entrants, no_reference = _entrants(store.trials(name), pick)
    networks = [
        (role, row, _predictor(row, device=choose_device(device))) for role, row in entrants.items()
    ]
    # One lock for all studies on this data: the seal is the data's.
    with reachable(store), study_lock(store, f"test split {study.data.fingerprint}"):
        _refuse_another(store, name, why=why, again=again)  # who waited for the lock comes second
        opening = store.begin_opening(
            OpeningStart(
                study=name,
                trial=pick.number,
                who=who(),
                why=why or FIRST,
                fingerprint=dataset.summary.fingerprint,
                samples=len(dataset.splits.test),
                no_reference=no_reference,
            )
        )
        scores = [
            _score(study, row, role, predictor, dataset, observe=observe)
            for role, row, predictor in networks
        ]
        store.record_test_scores(opening, scores)
    return next(each for each in store.openings(name) if each.id == opening)


def require_test(name: str, dataset: data.Dataset) -> None:
    """Raise InputError for a study whose data has nothing to open."""
    if not len(dataset.splits.test):
        raise InputError(
            f"Study '{name}' has no test split, so there is nothing to open. Start a new "
            "study with data.split.test, or with data that brings one."
        )


def _refuse_another(store: Store, name: str, *, why: str | None, again: bool) -> None:
    """Raise ConflictError for a second look that was not asked for as such.

    An opening that ended before it had scores told nobody anything, and may be made up for.
    """
    told = [opening for opening in store.openings_of_data(name) if opening.scores]
    if not told:
        return
    if not again:
        last = told[-1]
        scored = f"trial {last.trial}{whose(last, name)}"
        raise ConflictError(
            f"The test split of study '{name}' was opened on {last.opened_at:%Y-%m-%d %H:%M} UTC "
            f"by {last.who} for {scored} ({last.why}). A second look makes it a validation split. "
            "See: selector report. To look all the same, with a reason that every later report "
            "shows: --again --why REASON."
        )
    if not why:
        raise InputError("--again needs a reason, which every later report shows: --why REASON.")


def _entrants(
    trials: Sequence[TrialRow], pick: TrialRow
) -> tuple[dict[OpenedRole, TrialRow], str | None]:
    """The pick, and beside it the first reference with a stored network; or why there is none."""
    rows = {trial.number: trial for trial in trials}
    wanted = [rows[number] for number in references(trials)]
    if wanted and wanted[0].number == pick.number:
        return {"pick": pick}, "the pick is the reference itself"
    others = [row for row in wanted if row.number != pick.number]
    able = [row for row in others if row.state == "complete" and row.checkpoint is not None]
    if able:
        return {"pick": pick, "reference": able[0]}, None
    reasons = [_without_network(row) for row in others]
    return {"pick": pick}, "; ".join(reasons) or "no reference was trained"


def _without_network(row: TrialRow) -> str:
    if row.state == "pruned":
        return f"trial {row.number} was pruned in the search"
    return f"the checkpoint of trial {row.number} was not kept"


def _folder(store: Store, name: str, folder: Path | None) -> Path:
    """Where relative paths start: as asked for, as the last run had it, or here."""
    if folder is not None:
        return folder
    return next((each for each in store.folders(name) if each.is_dir()), Path.cwd())


def _dataset(study: StudyRow, folder: Path, *, observe: Observer) -> data.Dataset:
    spec: StudySpec = from_plain(study.spec)
    dataset = data.inspect(
        spec.data,
        base=folder,
        cache=load_settings().cache,
        progress=lambda done, total, label: observe(
            DataProgress(done=done, total=total, label=label)
        ),
    )
    if dataset.summary.fingerprint != study.data.fingerprint:
        raise ConflictError(
            f"The data in '{folder}' is not what study '{study.name}' was run on "
            f"({dataset.summary.fingerprint[:12]}, stored {study.data.fingerprint[:12]}). Restore "
            "it, or name the folder that the study file lay in: --folder FOLDER."
        )
    require_test(study.name, dataset)
    return dataset


def _predictor(row: TrialRow, *, device: torch.device) -> Predictor:
    checkpoint = load_settings().artifacts / str(row.checkpoint)
    return load_predictor(checkpoint, device=device, sha256=row.checkpoint_sha256)


def _score(
    study: StudyRow,
    row: TrialRow,
    role: OpenedRole,
    predictor: Predictor,
    dataset: data.Dataset,
    *,
    observe: Observer,
) -> OpenedScore:
    images = data.decode_split(
        dataset,
        "test",
        predictor.preprocessing,
        cache=load_settings().cache,
        progress=lambda done, total, label: observe(
            DataProgress(done=done, total=total, label=label)
        ),
    )
    log_p = predictor.log_probabilities(images.images)
    positive = positive_class(study)
    found = metrics.compute_all(images.labels, log_p, positive=positive)
    low, high = _interval(study.metric, images.labels, log_p, positive=positive)
    return OpenedScore(
        trial=row.number,
        role=role,
        validation_score=row.score if row.score is not None else float("nan"),
        test_score=found[study.metric],
        ci_low=low,
        ci_high=high,
        metrics=found,
    )


def _interval(
    metric: str, labels: Ints, log_p: Floats, *, positive: int | None
) -> tuple[float, float]:
    """The 95% interval of a score on the test split, as the leaderboard's on validation."""
    count = resample.resample_count(metric, len(labels))
    weights = resample.draw(labels, count, seed=0)
    rows = resample.scores(metric, labels, log_p, weights=weights, positive=positive)
    if np.ptp(rows) < 1e-9:  # without any error, say: certain it is not
        rows = resample.scores_in_doubt(
            metric, labels, log_p, resamples=count, seed=0, positive=positive
        )
    return percentile_interval(rows, metrics.compute(metric, labels, log_p, positive=positive))
