"""Finals of real studies, from the study file to the store."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from selector import reporting
from selector.cli.wording import trial_line
from selector.errors import ConflictError, InterruptedRun
from selector.events import (
    Event,
    FinalsEnded,
    FinalsReady,
    PrefixUsed,
    TrialEnded,
    TrialStarted,
)
from selector.predict import candidate_of
from selector.records import Heat
from selector.reporting.ranking import rank
from selector.run import run
from selector.search.finals import HEAT
from selector.store import Store

STUDY = """
name: tiny
data: {source: "builtin:digits", limit: 200}
metric: {name: f1_macro, goal: maximize}
search:
  backbone: toy:cnn
  lr: {log_uniform: [1.0e-3, 1.0e-2]}
  freeze_depth: 0
  batch_size: [16, 32]
  image_size: 8
pruner: none
budget: {trials: 3, epochs: 1}
finals: {top: 2, seeds: 2}
start_from: [{lr: 0.001, batch_size: 32}]
seed: 1
"""


class Ran:
    """One run of the study, and what it told."""

    def __init__(self, file: Path, url: str, *overrides: str, stop_at: int | None = None) -> None:
        self.events: list[Event] = []
        self._heats_left = stop_at
        self.board = run(file, overrides=overrides, store=url, observe=self._observe)

    def _observe(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, TrialStarted) and event.heat is not None:
            if self._heats_left == 0:
                raise KeyboardInterrupt
            if self._heats_left is not None:
                self._heats_left -= 1

    def heats(self) -> list[Heat]:
        return [e.heat for e in self.events if isinstance(e, TrialEnded) and e.heat is not None]


@pytest.fixture(scope="session")
def pixels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pixels")


@pytest.fixture
def file(tmp_path: Path, pixels: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The study file, in a place of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SELECTOR_CACHE", str(pixels))
    monkeypatch.setenv("SELECTOR_ARTIFACTS", str(tmp_path / "artifacts"))
    (tmp_path / "study.yaml").write_text(STUDY)
    return tmp_path / "study.yaml"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'selector.db'}"


@pytest.fixture
def opened(url: str) -> Iterator[Store]:
    with Store.open(url) as store:
        yield store


def planned(store: Store, study: str = "tiny.finals") -> Counter[Heat]:
    """How often Optuna was given each heat."""
    found = optuna.load_study(study_name=study, storage=store.url).get_trials()
    return Counter(Heat(*trial.user_attrs[HEAT]) for trial in found)


def test_finals_end_with_a_pick_that_every_reader_finds(file: Path, store_url: str) -> None:
    ran = Ran(file, store_url)

    ready = next(e for e in ran.events if isinstance(e, FinalsReady))
    ended = next(e for e in ran.events if isinstance(e, FinalsEnded))
    with Store.open(store_url) as store:
        stored = store.finals("tiny")
        assert stored is not None and stored.pick == ended.pick and stored.decided_at is not None
        runs = store.final_runs("tiny.finals")
        assert {r.heat for r in runs} == {
            Heat(trial, seed) for trial in ready.finalists for seed in (2, 3)
        }
        assert all(r.state == "complete" for r in runs)
        # The seed is really another one: the same recipe comes out differently.
        one, other = (r.number for r in runs if r.heat.finalist == ready.finalists[0])
        said = [store.log_probabilities("tiny.finals", number) for number in (one, other)]
        assert not np.allclose(*said)
        # Finals belong to their study, and cost none of its budget.
        assert [line.name for line in store.studies()] == ["tiny"]
        assert store.counts("tiny").complete == 3
        assert candidate_of(store, "tiny").number == stored.pick
        store.delete_study("tiny")
        assert store.study("tiny.finals") is None


def test_the_users_recipe_is_always_a_finalist(file: Path, url: str) -> None:
    finals = Ran(file, url, "finals.top=2").board.finals

    assert finals is not None
    assert 0 in {row.trial for row in finals.finalists}
    assert [row.trial for row in finals.finalists if row.reference] == [0]


def test_the_report_has_finalists_and_verdict_in_every_format(file: Path, url: str) -> None:
    board = Ran(file, url).board

    document: dict[str, Any] = json.loads(reporting.render(board, "json"))
    assert document["verdict"].keys() == {
        "trial",
        "reason",
        "test_score",
        "validation_score",
        "after_opening",
    }
    assert document["verdict"]["test_score"] is None
    scores = {c["trial"]: c["score"] for c in document["candidates"]}
    assert document["verdict"]["validation_score"] == scores[document["verdict"]["trial"]]
    first = document["finalists"][0]
    assert {"rank", "trial", "mean", "sd", "ci_low", "ci_high", "tied_with_best"} <= first.keys()
    assert first["trial"] == document["verdict"]["trial"]
    assert "Finals: 2 seeds" in reporting.render(board, "table")
    assert "### Finals: 2 seeds" in reporting.render(board, "md")
    header, *rows = reporting.render(board, "csv").splitlines()
    assert "final.mean" in header.split(",") and len(rows) == 3


def test_the_same_command_again_trains_nothing(file: Path, url: str, opened: Store) -> None:
    first = Ran(file, url)
    before = opened.trials("tiny.finals")

    again = Ran(file, url)

    assert len(first.heats()) in (4, 6)
    assert again.heats() == []
    assert opened.trials("tiny.finals") == before
    assert again.board.verdict == first.board.verdict


def test_interrupted_finals_go_on_where_they_stopped(file: Path, store_url: str) -> None:
    with pytest.raises(InterruptedRun):
        Ran(file, store_url, stop_at=2)
    with Store.open(store_url) as store:
        runs = store.final_runs("tiny.finals")
        assert [r.state for r in runs] == ["complete", "complete", "waiting"]
        unfinished = rank(store, "tiny")
        assert unfinished.verdict is None
        assert unfinished.finals is not None and not unfinished.finals.decided

        again = Ran(file, store_url)

        assert runs[2].heat == again.heats()[0]
        assert set(planned(store).values()) == {1}
        assert all(r.state == "complete" for r in store.final_runs("tiny.finals"))
        assert again.board.verdict is not None


def test_a_study_that_goes_on_adds_finalists_and_repeats_no_training(
    file: Path, url: str, opened: Store
) -> None:
    first = Ran(file, url, "budget.trials=2")
    with pytest.raises(InterruptedRun):
        Ran(file, url, "budget.trials=6", "finals.seeds=3", stop_at=0)
    between = rank(opened, "tiny")
    assert between.finals is not None and not between.finals.decided
    assert between.verdict == first.board.verdict  # until the finals have ended again

    ready = Ran(file, url, "budget.trials=6", "finals.seeds=3")

    assert ready.board.finals is not None and ready.board.finals.decided

    assert not set(first.heats()) & set(ready.heats())
    assert set(planned(opened).values()) == {1}
    assert {r.trial for r in ready.board.finals.finalists} >= {h.finalist for h in first.heats()}
    assert all(len(row.scores) == 3 for row in ready.board.finals.finalists)


def test_fewer_seeds_call_off_what_has_not_begun(file: Path, url: str, opened: Store) -> None:
    with pytest.raises(InterruptedRun):
        Ran(file, url, "finals.seeds=3", stop_at=0)

    ran = Ran(file, url, "finals.seeds=1")

    assert {heat.seed for heat in ran.heats()} == {2}
    assert ran.board.verdict is not None


def test_folds_share_out_train_and_validation(file: Path, url: str, opened: Store) -> None:
    ran = Ran(file, url, "finals={top: 2, seeds: 1, folds: 3}")

    stored = opened.finals("tiny")
    assert stored is not None and len(stored.fold_sizes) == 3
    data = opened.require_study("tiny").data
    assert sum(stored.fold_sizes) == data.counts["train"] + data.counts["validation"]
    for final in opened.final_runs("tiny.finals"):
        predicted = opened.log_probabilities("tiny.finals", final.number)
        assert len(predicted) == stored.fold_sizes[final.heat.fold]
    assert ran.board.finals is not None and ran.board.finals.folds == 3
    lines = [trial_line(e, names=8) for e in ran.events if isinstance(e, TrialEnded) and e.heat]
    assert all(any(f", fold {fold}/3 " in line for line in lines) for fold in (1, 2, 3))
    with pytest.raises(ConflictError, match=r"begun with finals\.folds: 3, now it is 2"):
        Ran(file, url, "finals={top: 2, seeds: 1, folds: 2}")
    assert opened.require_study("tiny").spec["finals"]["folds"] == 3


def test_finals_read_the_frozen_outputs_that_the_search_has_made(file: Path, url: str) -> None:
    ran = Ran(file, url, "search.freeze_depth=4", "training.fused_heads=off")

    begun = next(n for n, e in enumerate(ran.events) if isinstance(e, FinalsReady))
    uses = [[e for e in part if isinstance(e, PrefixUsed)] for part in _parted(ran.events, begun)]
    fills = [sum(use.outcome == "filled" for use in part) for part in uses]
    # Train and validation once each, whatever the seed: frozen stages know none.
    assert fills == [2, 0]
    assert len(uses[1]) == 2 * len(ran.heats())
    assert {use.outcome for use in uses[1]} == {"hit"}


def _parted(events: list[Event], place: int) -> tuple[list[Event], list[Event]]:
    return events[:place], events[place:]


@pytest.mark.parametrize("change", ["finals=off", "budget.trials=1"])
def test_without_finals_the_best_candidate_stands(
    file: Path, url: str, opened: Store, change: str
) -> None:
    board = Ran(file, url, change).board

    assert board.finals is None and board.verdict is None
    assert opened.finals("tiny") is None
    assert candidate_of(opened, "tiny").number == board.candidates[0].trial
