"""What a person sees on a terminal during a run."""

from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console

from selector.cli.live_view import LiveView, Running, Seen
from selector.events import (
    DataProgress,
    EpochEnded,
    Event,
    FunnelEnded,
    RunEnded,
    RunReady,
    TrialEnded,
    TrialStarted,
    WorkerNote,
)
from selector.records import TrialCounts

READY = RunReady(
    study="flowers",
    store="sqlite:///selector.db",
    device="cpu, 2 threads",
    metric="f1_macro",
    goal="maximize",
    epochs=5,
    trials=12,
    earlier=TrialCounts(complete=2, pruned=1),
    best_score=0.8123,
    counts={"train": 1257, "validation": 270, "test": 270},
    classes=10,
    backbones=("bundled:efficientnet_lite0", "toy:cnn"),
)
STARTED = TrialStarted(
    number=3,
    backbone="bundled:efficientnet_lite0",
    params={"lr": 0.00123, "freeze_depth": 3, "batch_size": 32},
    origin="sampler",
)
EPOCH = EpochEnded(number=3, epoch=2, epochs=5, score=0.9, best_score=0.91, seconds=3.0)


def _ended(number: int, state: str = "complete", **changes: object) -> TrialEnded:
    values: dict[str, object] = {
        "number": number,
        "backbone": "bundled:efficientnet_lite0",
        "state": state,
        "score": 0.91,
        "best_epoch": 2,
        "epochs": 5,
        "seconds": 12.0,
        "failure": None,
        "counts": TrialCounts(complete=3, pruned=1),
        "best_score": 0.91,
        "best_trial": number,
    }
    return TrialEnded(**{**values, **changes})  # type: ignore[arg-type]


def _shown(*events: Event, width: int = 80) -> str:
    """The moving part after the events, and above it what has been printed for good."""
    output = io.StringIO()
    console = Console(file=output, width=width, force_terminal=True, color_system=None)
    view = LiveView(console)
    for event in events:
        view(event)
    console.print(view._draw())
    return output.getvalue()


def test_the_running_trial_shows_backbone_parameters_and_epoch() -> None:
    text = _shown(READY, STARTED, EPOCH)

    for part in (
        "trial   3",
        "efficientnet_lite0",
        "lr 0.00123",
        "freeze 3",
        "epoch 2/5",
        "0.9000",
    ):
        assert part in text
    assert "3/12 done: 2 complete, 1 pruned, 0 failed" in text
    assert "best 0.8123" in text


def test_several_running_trials_have_a_line_each() -> None:
    other = dataclasses.replace(STARTED, number=5, backbone="toy:cnn")

    both = _shown(READY, STARTED, other, EPOCH).splitlines()
    one = _shown(READY, STARTED, other, EPOCH, _ended(3)).splitlines()

    assert [line.split()[:4] for line in both if line.startswith("trial ")] == [
        ["trial", "3", "epoch", "2/5,"],
        ["trial", "5", "epoch", "1"],
    ]
    assert [line.split()[:3] for line in one if line.startswith("trial ")][-1] == [
        "trial",
        "5",
        "toy:cnn",
    ]
    assert "epoch 1/5" in "".join(one)


def test_counts_never_go_back_when_two_workers_are_heard_out_of_turn() -> None:
    later = _ended(4, counts=TrialCounts(complete=5, pruned=1), best_trial=4, best_score=0.95)

    text = _shown(READY, STARTED, later, _ended(3))

    assert "6/12 done: 5 complete, 1 pruned, 0 failed" in text
    assert "best 0.9500 (trial 4)" in text


def test_what_a_worker_prints_stands_above_the_moving_part_and_cannot_steer_it() -> None:
    text = _shown(READY, STARTED, WorkerNote(worker=1, text="a \x1b[2J warning"), width=120)

    assert "worker 1  a \\x1b[2J warning" in text
    assert "\x1b[2J" not in text


def test_a_finished_trial_leaves_one_line() -> None:
    text = _shown(READY, STARTED, EPOCH, _ended(3))

    assert len([line for line in text.splitlines() if line.startswith("trial ")]) == 1
    assert text.splitlines()[-2].rstrip().endswith("12.0s  best")


def test_the_funnel_leaves_its_order_and_what_it_could_not_measure() -> None:
    funnel = FunnelEnded(
        order=("timm:resnet18", "toy:cnn"), missing={"timm:vit": "out of\x1b memory"}, seconds=3.0
    )

    text = _shown(READY, funnel, width=120)

    assert "funnel  timm:resnet18 > toy:cnn, in 3.0s" in text
    assert r"funnel  timm:vit not measured: out of\x1b memory" in text


def test_decoding_shows_a_bar() -> None:
    text = _shown(DataProgress(done=120, total=1797, label="decoding train at 64 px"))

    assert "decoding train at 64 px" in text
    assert "120/1,797" in text


def test_the_time_left_is_the_median_trial_times_the_trials_left() -> None:
    seen = Seen(ready=READY, counts=TrialCounts(complete=4), seconds=[10.0, 14.0, 300.0])

    assert seen.seconds_left(now=0.0) == 8 * 14.0
    seen.running[3] = Running(STARTED, began=100.0)
    assert seen.seconds_left(now=104.0) == 8 * 14.0 - 4.0
    seen.running[4] = Running(STARTED, began=102.0)
    assert seen.seconds_left(now=104.0) == (8 * 14.0 - 4.0 - 2.0) / 2
    assert Seen(ready=READY).seconds_left(now=0.0) is None


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    failure = "bug: RuntimeError: something long went wrong in here " * 3
    text = _shown(
        READY,
        STARTED,
        _ended(3),
        _ended(4, "failed", failure=failure, score=None, best_epoch=None),
        STARTED,
        EPOCH,
        RunEnded(reason="12 trials", seconds=100.0),
        width=width,
    )

    assert max(len(line) for line in text.splitlines()) <= width


def test_markup_and_control_characters_are_shown_as_they_are() -> None:
    text = _shown(READY, _ended(4, "failed", failure="bug: [red]\x1b[2J[/red]"), width=120)

    assert "[red]\\x1b[2J[/red]" in text
    assert "\x1b[2J" not in text
