"""Any order of what workers do: no trial is doubled or lost, and the budget is spent exactly."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import hypothesis
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from optuna.storages import RDBStorage

from selector.errors import TrialLostError
from selector.search import claims as claims_module
from selector.search import objective
from selector.search.claims import Claim, Claims
from selector.search.owners import MOST_DEATHS, OWNER
from selector.settings import Settings
from selector.spec import parse_study
from selector.store import Store
from tests.search.conftest import HEAD, begin_run, register_study
from tests.search.test_claims import open_claims, pruned
from tests.search.test_leases import end_lease, move_to_another_host, record

BUDGET = 5
SPACE = """
search:
  backbone: "toy:cnn"
  lr: {log_uniform: [1.0e-5, 1.0e-2]}
  freeze_depth: [0, 2]
sampler: random
"""


class Workers(RuleBasedStateMachine):
    """Several workers of one study, as far as the store can tell them apart."""

    @staticmethod
    def new_url(folder: Path) -> str:
        """An empty database."""
        return f"sqlite:///{folder / 'selector.db'}"

    held = Bundle("held")  # (worker, claim): trials that somebody believes to hold

    @initialize(workers=st.integers(2, 3))
    def begin(self, workers: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="selector-claims-"))
        self.store = Store.open(self.new_url(self.folder))
        self.spec = parse_study(f"{HEAD}{SPACE}budget: {{trials: {BUDGET}, failures: {BUDGET}}}\n")
        register_study(self.store, self.spec)
        self.backends: list[RDBStorage] = []  # each has connections of its own
        self.owner: dict[int, Claim] = {}  # who holds which trial, by our own book
        self.params: dict[int, object] = {}
        self.ended: Counter[int] = Counter()
        self.deaths: Counter[int] = Counter()
        self.workers = [self.new_worker() for _ in range(workers)]

    def new_worker(self) -> Claims:
        _, study = open_claims(self.store, self.spec, self.store.runs("flowers")[-1].id)
        self.backends.append(study._storage._backend)
        run = begin_run(self.store, self.spec)
        return Claims(self.store, study, self.spec, run_id=run, settings=Settings())

    @rule(target=held, which=st.integers(0, 2))
    def take(self, which: int) -> object:
        claims = self.workers[which % len(self.workers)]
        claim = claims.take()
        self.note_killed()
        if isinstance(claim, str):
            assert len(self.ended) + len(self.owner) >= BUDGET, f"no trial, though: {claim}"
            return multiple()
        assert claim.number not in self.owner, "a trial of a living worker was handed out"
        assert self.ended[claim.number] == 0, "a trial that ended was handed out"
        known = self.params.setdefault(claim.number, dict(claim.params))
        assert known == dict(claim.params), "a trial came back with other parameters"
        self.owner[claim.number] = claim
        return (claims, claim)

    @rule(pair=held, score=st.floats(0, 1))
    def report(self, pair: tuple[Claims, Claim], score: float) -> None:
        _, claim = pair
        if self.is_its_own(claim):
            objective.should_prune(claim, record(claim.reported + 1, score))
        else:
            with pytest.raises(TrialLostError):
                objective.should_prune(claim, record(claim.reported + 1, score))

    @rule(pair=consumes(held), fails=st.booleans(), score=st.floats(0, 1))
    def end(self, pair: tuple[Claims, Claim], fails: bool, score: float) -> None:
        claims, claim = pair
        end = pruned(claim.number, score)
        if fails:
            end = replace(end, state="failed", failure_cause="bug", failure_message="x")
        if self.is_its_own(claim):
            claims.end(claim, end)
            del self.owner[claim.number]
            self.ended[claim.number] += 1
        else:
            with pytest.raises(TrialLostError):
                claims.end(claim, end)

    @rule(pair=consumes(held))
    def hand_back(self, pair: tuple[Claims, Claim]) -> None:
        claims, claim = pair
        if self.is_its_own(claim):
            claims.hand_back(claim)
            del self.owner[claim.number]
        else:
            with pytest.raises(TrialLostError):
                claims.hand_back(claim)

    @rule(pair=consumes(held))
    def die(self, pair: tuple[Claims, Claim]) -> None:
        """Its process is gone: no such pid with that start."""
        _, claim = pair
        if self.is_its_own(claim):
            owner = {**claim.trial.user_attrs[OWNER], "created": 1.0}
            claim.trial.set_user_attr(OWNER, owner)
            del self.owner[claim.number]
            self.deaths[claim.number] += 1

    @rule(pair=held)
    def lose_the_lease(self, pair: tuple[Claims, Claim]) -> None:
        """Its machine fell silent; the worker itself goes on and does not know."""
        _, claim = pair
        if self.is_its_own(claim):
            move_to_another_host(claim)
            end_lease(self.store, claim.number, seconds=1)
            del self.owner[claim.number]
            self.deaths[claim.number] += 1  # for all that can be seen from here
            # It is anybody's with the next claim, so the next claim is made here.
            self.take_over(claim)

    def note_killed(self) -> None:
        """A trial that kills its workers is failed by whoever takes the next one."""
        for row in self.store.trials("flowers"):
            if row.failure_cause == "worker_killed" and not self.ended[row.number]:
                assert self.deaths[row.number] >= MOST_DEATHS
                self.ended[row.number] += 1

    def take_over(self, lost: Claim) -> None:
        other = self.new_worker()
        again = other.take()
        self.note_killed()
        if isinstance(again, Claim):
            self.hand_out_check(again)
            other.hand_back(again)
        else:
            assert self.ended[lost.number], "what was lost was not handed out"

    def hand_out_check(self, claim: Claim) -> None:
        assert claim.number not in self.owner and self.ended[claim.number] == 0
        known = self.params.setdefault(claim.number, dict(claim.params))
        assert known == dict(claim.params)

    def is_its_own(self, claim: Claim) -> bool:
        return self.owner.get(claim.number) is claim

    @invariant()
    def the_budget_is_never_exceeded(self) -> None:
        if hasattr(self, "store"):
            rows = self.store.outcomes("flowers")
            counted = [row for row in rows if row.state != "waiting"]
            assert len(counted) <= BUDGET
            assert set(self.ended.values()) <= {1}
            assert {r.number for r in rows if r.state in ("pruned", "failed")} == set(self.ended)

    def teardown(self) -> None:
        """Whoever is left ends the study: nothing is missing then."""
        if not hasattr(self, "store"):
            return
        try:
            for claim in self.owner.values():
                owner = {**claim.trial.user_attrs[OWNER], "created": 1.0}
                claim.trial.set_user_attr(OWNER, owner)
                self.deaths[claim.number] += 1
            last = self.new_worker()
            while isinstance(claim := last.take(), Claim):
                last.end(claim, pruned(claim.number))
                self.ended[claim.number] += 1
            self.note_killed()
            assert self.ended == Counter(range(BUDGET)), "a trial is missing or ended twice"
        finally:
            for backend in self.backends:
                backend.remove_session()
                backend.engine.dispose()
            self.store.close()
            shutil.rmtree(self.folder)


def run(examples: int, steps: int, machine: type[Workers] = Workers) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        ),
    )


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims_module, "PATIENCE", 0.0)


def test_no_order_of_events_doubles_or_loses_a_trial() -> None:
    run(examples=6, steps=12)


@pytest.mark.storm
def test_no_long_order_of_events_doubles_or_loses_a_trial() -> None:
    run(examples=40, steps=25)


@pytest.fixture
def on_postgres(new_postgres_url: Callable[[], str]) -> type[Workers]:
    """The same workers; every example has a database of its own."""

    class OnPostgres(Workers):
        @staticmethod
        def new_url(folder: Path) -> str:
            del folder
            return new_postgres_url()

    return OnPostgres


def test_no_order_of_events_on_postgresql_doubles_or_loses_a_trial(
    on_postgres: type[Workers],
) -> None:
    run(examples=2, steps=10, machine=on_postgres)
