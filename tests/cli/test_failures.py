"""Trials that fail: by cause in what is printed, run again on request, never ranked."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from selector.errors import DataError
from selector.events import Event, RunReady
from selector.run import run
from selector.store import Store
from selector.training import Network
from tests.cli.conftest import STUDY, Command

# The decay alone multiplies the weights by -1e20 at each step, so they overflow at once.
EXPLODING = "lr: 1.0\n  optimizer: sgd\n  warmup_epochs: 0\n  weight_decay: {decay}"


def write_study(place: Path, decay: str) -> None:
    text = STUDY.replace(
        "lr: {log_uniform: [1.0e-3, 1.0e-2]}", EXPLODING.format(decay=decay)
    ).replace("budget: {trials: 3", "budget: {trials: 2")
    (place / "study.yaml").write_text(text)


@pytest.fixture
def exploded(selector: Command, place: Path) -> Command:
    """A study of two trials that both failed."""
    write_study(place, "1.0e+20")
    result = selector("run", "study.yaml", "-q")
    assert result.exit_code == 5, result.stderr
    first, *causes = result.stderr.splitlines()
    assert first.startswith("error: Study 'tiny' ended (2 trials) and no trial completed: 2 failed")
    assert len(causes) == 1 and causes[0].startswith("  non_finite    2  trials 0, 1: ")
    assert result.stdout == ""
    return selector


def test_failures_are_listed_by_cause(exploded: Command) -> None:
    shown = exploded("show", "tiny", "--format", "md").stdout
    failures = shown.partition("### Failures")[2]

    for part in ("non\\_finite", "toy:cnn, ", "lr 1", "optimizer sgd", "weight_decay 1e+20"):
        assert part.replace("\\", "") in failures.replace("\\", "")
    assert "### Failures" in shown and failures.count("| 0 |") == 1


def test_a_study_of_failures_has_no_winner(exploded: Command) -> None:
    for words in (("report", "tiny", "--format", "json"), ("list", "--format", "json")):
        result = exploded(*words)
        assert result.exit_code == 0 and '"best_trial": 0' not in result.stdout
    assert '"candidates": []' in exploded("report", "tiny", "--format", "json").stdout


def test_retry_runs_failed_trials_again_within_the_budget(exploded: Command, place: Path) -> None:
    again = exploded("retry", "tiny", "--cause", "non_finite")
    assert again.exit_code == 0
    assert again.stderr.splitlines()[:2] == [
        f"trial {number} runs again; it failed for non_finite" for number in (0, 1)
    ]

    result = exploded("run", "study.yaml", "-q")

    assert result.exit_code == 5
    # The same parameters overflow again; what is counted above is counted below.
    assert "no trial completed: 2 failed (2 more were retried since), 0 pruned" in result.stderr
    assert "  non_finite    4  trials 0, 1, 2, 3 (2 retried since): " in result.stderr
    with Store.open(f"sqlite:///{place / 'selector.db'}") as store:
        rows = store.trials("tiny")
    assert [(row.origin, row.retry_of, row.retried) for row in rows[2:]] == [
        ("retry", 0, False),
        ("retry", 1, False),
    ]
    assert rows[2].params == rows[0].params
    assert "retry of trial 0" in exploded("show", "tiny", "2").stdout


def test_retry_without_a_failure_says_so(finished: Command) -> None:
    result = finished("retry", "tiny")

    assert (result.exit_code, result.stdout) == (0, "")
    assert "No trial of study 'tiny' failed" in result.stderr


def test_a_cause_that_did_not_occur_is_refused(exploded: Command) -> None:
    result = exploded("retry", "tiny", "--cause", "oom")

    assert result.exit_code == 2
    assert "Unknown cause 'oom' in 'tiny'. Known: non_finite" in result.stderr


def test_a_full_disk_pauses_the_study_and_burns_no_budget(selector: Command, place: Path) -> None:
    """A limit on the size of files, which a checkpoint passes and the database does not."""
    study = STUDY.replace("toy:cnn", "bundled:mobilenet_v2").replace("size: 16", "size: 32")
    (place / "study.yaml").write_text(study.replace("trials: 3", "trials: 1"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, hard))
    try:
        full = selector("run", "study.yaml", "-q")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert full.exit_code == 4, full.stderr
    assert "trial-0000-" in full.stderr and "cannot be written: File too large" in full.stderr
    with Store.open(f"sqlite:///{place / 'selector.db'}") as store:
        (waiting,) = store.trials("tiny")
        assert (waiting.state, store.counts("tiny").finished) == ("waiting", 0)
    assert not list(place.glob("selector-artifacts/**/*.*"))  # nothing torn is left

    assert selector("run", "study.yaml", "-q").exit_code == 0
    with Store.open(f"sqlite:///{place / 'selector.db'}") as store:
        (row,) = store.trials("tiny")
    assert (row.number, row.state, row.params) == (0, "complete", waiting.params)


def test_an_image_that_changes_during_the_run_stops_the_study_and_no_trial_fails(
    place: Path,
) -> None:
    for level, name in enumerate(("dark", "light")):
        (place / "images" / name).mkdir(parents=True)
        for number in range(12):
            image = Image.new("RGB", (16, 16), (180 * level, 10 * number, 0))
            image.save(place / "images" / name / f"{number}.png")
    text = STUDY.replace('{source: "builtin:digits", limit: 200}', "{path: images}")
    (place / "study.yaml").write_text(text)

    def spoil(event: Event) -> None:
        if isinstance(event, RunReady):
            for path in (place / "images").rglob("*.png"):
                path.write_bytes(b"no longer an image")

    with pytest.raises(DataError, match=r"\.png"):
        run("study.yaml", observe=spoil)

    with Store.open(f"sqlite:///{place / 'selector.db'}") as store:
        assert {row.state for row in store.trials("tiny")} <= {"waiting"}
        assert store.counts("tiny").failed == 0
        (run_row,) = store.runs("tiny")
    assert run_row.failure is not None and run_row.failure.cause == "data"
    assert ".png" in run_row.failure.message


def test_batches_that_memory_has_no_room_for_are_said_stored_and_shown(
    selector: Command, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suffix = Network.suffix

    def bounded(network: Network, x: Tensor) -> Tensor:
        if network.training and len(x) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return suffix(network, x)

    monkeypatch.setattr(Network, "suffix", bounded)
    result = selector("run", "study.yaml", "--set", "search.batch_size=16")
    assert result.exit_code == 0, result.stderr
    assert "memory has no room for batches of 16; they go through 4 at once" in result.stderr

    page = selector("show", "tiny", 2, "--format", "md").stdout
    assert (
        "4: memory had no room for a whole batch, which batch normalisation was trained on" in page
    )
    shown = json.loads(selector("show", "tiny", 2, "--format", "json").stdout)
    assert (shown["micro_batch"], shown["norm_by_micro_batch"]) == (4, True)
    assert shown["params"]["batch_size"] == 16


def test_trials_whose_batches_fit_say_nothing_of_it(
    finished: Command, finished_place: Path
) -> None:
    assert "samples at once" not in finished("show", "tiny", 0).stdout
    shown = json.loads(finished("show", "tiny", 0, "--format", "json").stdout)
    assert (shown["micro_batch"], shown["norm_by_micro_batch"]) == (None, False)
