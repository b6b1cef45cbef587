"""Trials whose numbers overflow never rank, take no other trial with them, and win nothing."""

from __future__ import annotations

import json
import math
from pathlib import Path

from tests.faults.conftest import SMALL
from tests.faults.program import Program, Surroundings
from tests.faults.records import assert_nothing_is_open, states

# The decay alone multiplies the weights by -1e20 at each step, so they overflow at once.
OVERFLOW = "lr: 1.0\n  optimizer: sgd\n  warmup_epochs: 0\n  weight_decay: {decay}"


def study_with(decay: str, folder: Path) -> None:
    """A study of six trials, some or all of which overflow."""
    text = SMALL.replace("lr: {log_uniform: [1.0e-3, 1.0e-2]}", OVERFLOW.format(decay=decay))
    text = text.replace("trials: 2, epochs: 3", "trials: 6, epochs: 1, failures: 6")
    (folder / "study.yaml").write_text(text + "sampler: random\n")


def test_trials_that_overflow_never_rank_and_the_others_go_on(
    folder: Path, here: Surroundings
) -> None:
    study_with("[1.0e-4, 1.0e+20]", folder)
    words = ("run", "study.yaml", "-q", "--set", "finals=off", "--format", "json")
    program = Program(*words, folder=folder, surroundings=here)
    assert program.wait() == 0, program.printed
    url = here.environment["SELECTOR_STORE"]
    found = states(url, "faults")
    assert {"complete", "failed"} == set(found) and len(found) == 6
    board = json.loads(program.printed)
    ranked = board["candidates"]
    assert len(ranked) == found.count("complete")
    assert all(row["params"]["weight_decay"] == 1e-4 for row in ranked)
    assert all(math.isfinite(row["score"]) for row in ranked)
    assert_nothing_is_open(url, "faults")


def test_a_study_of_failures_ends_with_their_causes_and_no_winner(
    folder: Path, here: Surroundings
) -> None:
    study_with("1.0e+20", folder)
    program = Program("run", "study.yaml", "-q", folder=folder, surroundings=here)
    assert program.wait() == 5, program.printed
    assert "no trial completed: 6 failed" in program.printed
    assert "non_finite    6  trials 0, 1, 2" in program.printed
    url = here.environment["SELECTOR_STORE"]
    assert states(url, "faults") == ["failed"] * 6
    assert_nothing_is_open(url, "faults")
