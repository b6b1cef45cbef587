"""The plan of a study: what will be tried, and what it costs."""

from __future__ import annotations

from pathlib import Path

import pytest

from selector.plan import Plan, estimate
from selector.preflight import prepare
from selector.run import ignore
from selector.spec import parse_study

STUDY = """\
name: planned
data: {source: "builtin:digits", limit: 200}
metric: {name: f1_macro, goal: maximize}
search:
  backbone: toy:cnn
  lr: [1.0e-3, 1.0e-2]
  freeze_depth: {int: [0, 5]}
  batch_size: [16, 32]
  image_size: [16, 24]
budget: {trials: 8, epochs: 3, time: 1h}
"""


def _plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *overrides: str) -> Plan:
    monkeypatch.setenv("SELECTOR_CACHE", str(tmp_path))
    spec = parse_study(STUDY, overrides=overrides)
    return estimate(prepare(spec, base=tmp_path, observe=ignore), observe=ignore)


def test_every_depth_and_both_ends_of_the_image_size_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = _plan(tmp_path, monkeypatch)

    measured = {(probe.freeze_depth, probe.image_size) for probe in plan.probes}
    assert measured == {(depth, size) for depth in (0, 3, 5) for size in (16, 24)}
    trained = [probe.trained_parameters for probe in plan.probes if probe.image_size == 16]
    assert trained == sorted(trained, reverse=True)
    assert all(probe.epoch_seconds > 0 for probe in plan.probes)
    assert plan.seconds > 0
    assert plan.time_limit == 3600


def test_disk_is_decoded_images_and_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = _plan(tmp_path, monkeypatch)

    assert plan.cache_bytes == 170 * 3 * (16 * 16 + 24 * 24)
    mean = sum(probe.trained_parameters for probe in plan.probes) / len(plan.probes)
    assert plan.checkpoint_bytes == pytest.approx(4 * 8 * mean, rel=0.01)


def test_checkpoints_that_are_not_kept_take_no_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two and the first configuration; with finals the three that they may pick, and that one.
    for finals, checkpoints in (("off", 3), ("{top: 3}", 4)):
        kept = _plan(tmp_path, monkeypatch, "keep.best=2", f"finals={finals}")
        mean = sum(probe.trained_parameters for probe in kept.probes) / len(kept.probes)
        assert kept.checkpoint_bytes == pytest.approx(4 * checkpoints * mean, rel=0.01)


def test_a_space_of_choices_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = _plan(tmp_path, monkeypatch, "search.freeze_depth=5", "search.image_size=16")
    assert plan.combinations == 2 * 2
    assert plan.searched == ("lr", "batch_size")
    assert {probe.freeze_depth for probe in plan.probes} == {5}


def test_a_continuous_space_has_no_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = _plan(
        tmp_path, monkeypatch, "search.lr={log_uniform: [1e-4, 1e-2]}", "search.freeze_depth=[1, 2]"
    )
    assert plan.combinations is None
    # None of the usual depths is allowed here, so the ends of the range stand for it.
    assert {probe.freeze_depth for probe in plan.probes} == {1, 2}


def test_the_first_trials_begin_with_what_the_user_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = _plan(tmp_path, monkeypatch, "start_from=[{lr: 1e-2, freeze_depth: 4}]")

    assert plan.first_trials[0].origin == "start_from"
    assert plan.first_trials[0].params["freeze_depth"] == 4
    assert plan.first_trials[1].origin == "recipe"


def test_only_real_ranges_are_continuous(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = _plan(
        tmp_path, monkeypatch, "search.lr={log_uniform: [1e-4, 1e-2]}", "search.freeze_depth=[1, 2]"
    )
    assert plan.continuous == ("lr",)
    assert plan.searched == ("lr", "freeze_depth", "batch_size", "image_size")
