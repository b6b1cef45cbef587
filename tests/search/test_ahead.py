"""Probes that were trained ahead of their trials are the same trials."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from selector.errors import ConflictError, InterruptedRun
from selector.events import EpochEnded, HeadsFused
from selector.run import run
from selector.search import ahead
from selector.store import Store
from selector.training.heads import HeadStack

STUDY = """
name: digits
data: {source: "builtin:digits", limit: 120}
metric: {name: f1_macro, goal: maximize}
search:
  backbone: toy:cnn
  image_size: 16
  lr: {log_uniform: [1.0e-4, 1.0e-1]}
  freeze_depth: 5
  batch_size: 16
budget: {trials: 6, epochs: 3}
pruner: none
device: cpu
"""
SAMPLERS = {
    "random": "random",
    "qmc": "qmc",
    "grid": "{name: grid, steps: {lr: 6}}",
    "tpe": "tpe",
}


@pytest.fixture
def study(own_place: Path) -> Path:
    path = own_place / "study.yaml"
    path.write_text(STUDY)
    return path


@dataclass
class Ran:
    """One run of the study in a database of its own, and what it left."""

    study: Path
    name: str
    groups: list[int] = field(default_factory=list)
    stop_in_trial: int | None = None

    def __call__(self, *overrides: str) -> Ran:
        run(self.study, overrides=overrides, store=self.url, observe=self._observe)
        return self

    @property
    def url(self) -> str:
        return f"sqlite:///{self.study.parent / self.name}.db"

    def trials(self) -> list[tuple]:
        """Everything about the trials that follows from their parameters."""
        with Store.open(self.url) as store:
            epochs = [
                (number, e.epoch, e.score, e.lr, e.validation_loss)
                for number, e in store.epochs("digits")
            ]
            return [
                *((t.number, dict(t.params), t.state, t.origin, t.metrics) for t in self.rows()),
                *epochs,
            ]

    def rows(self) -> tuple:
        with Store.open(self.url) as store:
            return store.trials("digits")

    def _observe(self, event) -> None:
        if isinstance(event, HeadsFused):
            self.groups.append(event.heads)
        if isinstance(event, EpochEnded) and event.number == self.stop_in_trial:
            self.stop_in_trial = None
            raise KeyboardInterrupt


def both(study: Path, *overrides: str) -> tuple[Ran, Ran]:
    """The study with every trial alone, and with probes ahead of their trials."""
    alone = Ran(study, "alone")("training.fused_heads=off", *overrides)
    return alone, Ran(study, "fused")(*overrides)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_study_has_the_same_trials_with_and_without_fused_heads(study, sampler):
    alone, fused = both(study, f"sampler={SAMPLERS[sampler]}")
    assert alone.trials() == fused.trials()
    assert alone.groups == []
    # TPE draws the last trials itself, when it has seen the scores of those planned.
    assert fused.groups == ([4] if sampler == "tpe" else [6])


def test_pruned_trials_are_the_same_and_are_trained_no_further(study, monkeypatch):
    trained = []
    next_epoch = HeadStack.next_epoch

    def counted(stack):
        trained.append(len(stack.recipes))
        return next_epoch(stack)

    monkeypatch.setattr(HeadStack, "next_epoch", counted)
    alone, fused = both(
        study,
        "sampler=random",
        "pruner={name: percentile, percentile: 80, startup_trials: 1, warmup_epochs: 0}",
        "budget.epochs=6",
    )
    assert alone.trials() == fused.trials()
    states = {row.state for row in fused.rows()}
    assert states == {"complete", "pruned"}
    assert max(trained) == 6 and sum(trained) <= 36


def test_only_probes_of_one_group_are_trained_together(study):
    mixed = (
        "sampler={name: grid, steps: {lr: 2}}",
        "search.freeze_depth=[4, 5]",
        "search.batch_size=[16, 32]",
        "budget.trials=8",
        "budget.epochs=1",
    )
    alone, fused = both(study, *mixed)
    assert alone.trials() == fused.trials()
    assert fused.groups == [2, 2]


def test_planned_trials_of_the_user_are_trained_together(study):
    text = STUDY + "start_from: [{lr: 0.001}, {lr: 0.01}, {lr: 0.1}]\n"
    study.write_text(text)
    alone, fused = both(study, "budget.trials=3")
    assert alone.trials() == fused.trials()
    assert fused.groups == [3]


def test_trials_that_the_sampler_completes_are_not_guessed(study):
    text = STUDY.replace("  batch_size: 16", "  batch_size: 16\n  label_smoothing: [0.0, 0.1]")
    study.write_text(text + "start_from: [{lr: 0.001}, {lr: 0.01}]\n")
    alone, fused = both(study, "budget.trials=2")
    assert alone.trials() == fused.trials()
    assert fused.groups == []


def test_an_interrupted_study_goes_on_to_the_same_trials(study):
    whole = Ran(study, "whole")("sampler=random")
    stopped = Ran(study, "stopped", stop_in_trial=2)
    with pytest.raises(InterruptedRun):
        stopped("sampler=random")
    assert [row.state for row in stopped.rows()].count("complete") == 2
    stopped("sampler=random")
    assert stopped.trials() == whole.trials()
    assert stopped.groups == [6, 4]


def test_a_limit_on_a_trial_is_not_spent_on_others(study):
    ran = Ran(study, "limited")("sampler=random", "budget.trial_time=1h")
    assert ran.groups == []


def test_no_more_is_trained_than_the_budget_still_has(study):
    ran = Ran(study, "short")("sampler=random", "budget.trials=3")
    assert ran.groups == [3]
    ran("sampler=random", "budget.trials=7")
    assert ran.groups == [3, 4]


def test_a_trial_that_fails_does_not_touch_the_others(study):
    planned = "[{lr: 0.01, weight_decay: 0.0}, {lr: 0.1, weight_decay: 1.0e+38}, {lr: 0.05}]"
    text = STUDY.replace("  batch_size: 16", "  batch_size: 16\n  weight_decay: [0.0, 1.0e+38]")
    study.write_text(text + f"start_from: {planned}\n")
    alone, fused = both(study, "search.optimizer=sgd", "training.clip_norm=0", "budget.trials=3")
    assert alone.trials() == fused.trials()
    assert {row.failure_cause for row in fused.rows() if row.state == "failed"} == {"non_finite"}


def test_memory_that_runs_out_for_a_group_fails_no_trial(study, monkeypatch):
    alone = Ran(study, "alone")("training.fused_heads=off", "sampler=random")
    next_epoch, calls = HeadStack.next_epoch, []

    def runs_out(stack):
        calls.append(stack)
        if len(calls) == 2:
            raise MemoryError
        return next_epoch(stack)

    monkeypatch.setattr(HeadStack, "next_epoch", runs_out)
    fused = Ran(study, "fused")("sampler=random")
    assert alone.trials() == fused.trials()
    # The next group has half as many heads, and the memory that it was given suffices.
    assert fused.groups == [6, 3, 2]


def test_what_waits_is_bounded(study, monkeypatch):
    monkeypatch.setattr(ahead, "HEADS", 2)
    small = Ran(study, "small")("sampler=random")
    assert small.groups == [2, 2, 2]
    monkeypatch.setattr(ahead, "GROUP_BYTES", 1)
    none = Ran(study, "none")("sampler=random")
    assert none.groups == []
    assert small.trials() == none.trials()


def test_groups_that_take_too_much_together_are_trained_again(study, monkeypatch):
    monkeypatch.setattr(ahead, "KEPT_BYTES", 1)
    mixed = ("sampler={name: grid, steps: {lr: 3}}", "search.batch_size=[16, 32]")
    alone, fused = both(study, *mixed)
    assert alone.trials() == fused.trials()
    assert len(fused.groups) > 2


def test_the_switch_may_change_in_a_study_that_has_trials(study):
    ran = Ran(study, "switched")("sampler=random", "budget.trials=2")
    ran("sampler=random", "training.fused_heads=off")
    assert ran.groups == [2]
    with pytest.raises(ConflictError, match=r"training\.fused_heads, training\.prefix_cache"):
        ran("seed=9")
