"""A worker for the tests of outages, in a process of its own: real claims, epochs that only wait.

    python -m tests.search.outage_worker URL EPOCHS SECONDS_AN_EPOCH

It writes a line for whatever happens: `trial N`, `epoch E`, `silent`, `answers`, `lost N`, `ended`.
"""

from __future__ import annotations

import sys
import time

from selector.errors import TrialLostError
from selector.events import Event, StoreAnswers, StoreSilent
from selector.records import EpochRecord, TrialEnd
from selector.search import objective, pruners, storage
from selector.search.claims import Claim, Claims
from selector.spec import from_plain
from selector.store import Store


def say(line: str) -> None:
    """A line for the test that reads it, with the time of the machine."""
    sys.stdout.write(f"{time.monotonic():.3f} {line}\n")
    sys.stdout.flush()


def observe(event: Event) -> None:
    """Pass on what the worker would log."""
    if isinstance(event, StoreSilent):
        say("silent")
    elif isinstance(event, StoreAnswers):
        say("answers")


def train(claim: Claim, claims: Claims, *, epochs: int, seconds: float) -> None:
    """Epochs that take their time, each reported, then the end."""
    records = []
    with claim.heartbeat.beating():
        for number in range(1, epochs + 1):
            time.sleep(seconds)
            record = EpochRecord(
                epoch=number,
                train_loss=1.0,
                validation_loss=1.0,
                score=number / epochs,
                lr=0.1,
                seconds=seconds,
            )
            records.append(record)
            say(f"epoch {number}")
            objective.should_prune(claim, record)
        end = TrialEnd(
            number=claim.number,
            state="pruned",
            epochs=tuple(records),
            score=1.0,
            best_epoch=epochs,
            seconds=seconds * epochs,
        )
        claims.end(claim, end)


def main() -> None:
    """Take trials of the only study until its budget is spent."""
    url, epochs, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    with Store.open(url) as store, storage.opened_storage(store) as optuna_storage:
        (name,) = (summary.name for summary in store.studies())
        spec = from_plain(store.require_study(name).spec)
        run_id = store.runs(name)[-1].id
        pruner = pruners.load("none").build(spec, {})
        study = storage.open_study(
            optuna_storage, store, name, goal=spec.metric.goal, pruner=pruner
        )
        claims = Claims(store, study, spec, run_id=run_id, observe=observe)
        claims.plan()
        while isinstance(claim := claims.take_or_wait(), Claim):
            say(f"trial {claim.number}")
            try:
                train(claim, claims, epochs=epochs, seconds=seconds)
                say(f"ended {claim.number}")
            except TrialLostError:
                say(f"lost {claim.number}")
        say("done")


if __name__ == "__main__":
    main()
