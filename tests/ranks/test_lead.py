"""What the leading rank makes of others that fail, hang or run out of memory."""

from __future__ import annotations

import dataclasses
import datetime as dt
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
import torch

from selector.errors import RankLostError, TrialFailedError
from selector.preflight import Prepared, prepare
from selector.ranks import Team, orders, team
from selector.records import EpochResult, Recipe, Seat
from selector.run import ignore
from selector.search.context import StudyContext
from selector.search.recipe import untrained
from selector.spec import parse_study
from selector.store import Store
from selector.working import closing_team, context_of
from tests.ranks import programs

STUDY = """\
name: led
data: {source: "builtin:digits", limit: 200}
metric: {name: f1_macro, goal: maximize}
search: {backbone: toy:cnn, image_size: 64, batch_size: 64}
device: cpu
devices_per_trial: 2
"""
RECIPE = Recipe(
    backbone="toy:cnn", lr=0.001, freeze_depth=0, batch_size=64, image_size=64, epochs=3
)


@pytest.fixture
def context(own_place: Path) -> Iterator[StudyContext]:
    """A worker with a team of two."""
    prepared: Prepared = prepare(parse_study(STUDY), base=own_place, observe=ignore)
    seat = Seat(number=0, device="cpu", threads=1, others=("cpu",))
    with Store.open(f"sqlite:///{own_place / 'selector.db'}") as store:
        made = context_of(prepared, store, seat=seat, observe=ignore)
        with closing_team(made):
            yield made


def epochs(context: StudyContext, recipe: Recipe) -> Iterator[EpochResult]:
    begun = untrained(recipe, "random", decode=context.decode, task=context.task)
    with closing(context.alone(begun.network, begun.data, recipe)) as found:
        yield from found


def rank_of(context: StudyContext) -> psutil.Process:
    assert isinstance(context.team, Team)
    (other,) = context.team._others
    assert other.process.pid is not None
    return psutil.Process(other.process.pid)


@pytest.mark.storm
def test_a_rank_that_stands_still_is_given_up_and_the_next_trial_has_another(
    context: StudyContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "GROUP_TIMEOUT", dt.timedelta(seconds=20))
    trial = epochs(context, RECIPE)
    next(trial)
    stopped = rank_of(context)
    stopped.send_signal(signal.SIGSTOP)

    with pytest.raises(RankLostError, match=r"one of 2 that train a trial together, .*not answer"):
        list(trial)

    assert not stopped.is_running()
    assert not torch.distributed.is_initialized()
    assert [result.epoch for result in epochs(context, RECIPE)] == [1, 2, 3]
    assert rank_of(context).pid != stopped.pid


@pytest.mark.storm
def test_a_rank_without_room_has_all_begin_again_in_smaller_parts(
    context: StudyContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(team, "main", programs.without_room)

    results = list(epochs(context, RECIPE))

    assert [result.epoch for result in results] == [1, 2, 3]
    # Of 64 samples each takes 32.
    assert [result.micro_batch for result in results] == [programs.ROOM] * 3


def test_a_rank_that_cannot_begin_says_why(context: StudyContext) -> None:
    assert isinstance(context.team, Team)
    prepared = context.team._prepared
    summary = dataclasses.replace(prepared.dataset.summary, fingerprint="of others")
    dataset = dataclasses.replace(prepared.dataset, summary=summary)
    context.team._prepared = dataclasses.replace(prepared, dataset=dataset)

    with pytest.raises(TrialFailedError, match="rank 1: ConflictError: the images changed"):
        next(epochs(context, RECIPE))

    assert not context.team._others


def test_a_trial_that_is_left_early_leaves_the_others_ready(context: StudyContext) -> None:
    first = epochs(context, RECIPE)
    assert next(first).epoch == 1
    before = rank_of(context).pid
    first.close()

    assert len(list(epochs(context, dataclasses.replace(RECIPE, freeze_depth=3)))) == 3
    assert rank_of(context).pid == before


def test_a_linear_probe_needs_nobody_else(context: StudyContext) -> None:
    list(epochs(context, dataclasses.replace(RECIPE, freeze_depth=5)))

    assert isinstance(context.team, Team)
    assert not context.team._others
