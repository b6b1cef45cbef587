"""`run`, from a study file to a leaderboard, and once more."""

from __future__ import annotations

import html
import json
import re
import shlex
from pathlib import Path

import pytest
import torch

from selector.search import keeping
from selector.store import Store
from tests.cli.conftest import STUDY, Command


def _trials(place: Path, name: str = "tiny", file: str = "selector.db") -> list[object]:
    with Store.open(f"sqlite:///{place / file}") as store:
        return [
            (row.number, row.state, row.score, dict(row.params), row.epochs, dict(row.metrics))
            for row in store.trials(name)
        ]


def test_run_ends_with_a_leaderboard_and_rows_in_the_store(selector: Command, place: Path) -> None:
    result = selector("run", "study.yaml")

    assert result.exit_code == 0, result.stderr
    assert "3 complete, 0 pruned, 0 failed" in result.stdout
    assert len(_trials(place)) == 3
    lines = result.stderr.splitlines()
    assert sum(line.startswith("trial ") for line in lines) == 3
    assert lines[-1].startswith("ended   3 trials")


def test_the_same_command_again_changes_nothing(selector: Command, place: Path) -> None:
    selector("run", "study.yaml", "-q")
    before = _trials(place)

    again = selector("run", "study.yaml")

    assert again.exit_code == 0
    assert _trials(place) == before
    assert "3 done before" in again.stderr


def test_a_larger_budget_continues_the_study(selector: Command, place: Path) -> None:
    selector("run", "study.yaml", "-q", "--set", "budget.trials=2")
    first = _trials(place)

    result = selector("run", "study.yaml", "-q", "--set", "budget.trials=4")

    assert result.exit_code == 0, result.stderr
    assert len(_trials(place)) == 4
    assert _trials(place)[:2] == first


def test_the_command_on_record_has_what_was_set_and_is_one_that_a_shell_reads(
    selector: Command, place: Path
) -> None:
    sets = ("--set", "budget.trials=1", "--set", "search.batch_size=[8, 16]")
    selector("run", "study.yaml", "-q", *sets)

    with Store.open(f"sqlite:///{place / 'selector.db'}") as store:
        (run,) = store.runs("tiny")
    assert shlex.split(run.command) == ["selector", "run", "study.yaml", *sets]
    report = selector("report", "tiny", "--format", "html").stdout
    assert run.command in html.unescape(report)


def test_one_seed_gives_the_same_trials_and_scores(selector: Command, place: Path) -> None:
    for name in ("one.db", "two.db"):
        url = f"sqlite:///{place / name}"
        result = selector("run", "study.yaml", "-q", "--store", url, "--set", "budget.trials=5")
        assert result.exit_code == 0, result.stderr

    assert _trials(place, file="one.db") == _trials(place, file="two.db")


def test_quiet_prints_the_leaderboard_alone(selector: Command) -> None:
    result = selector("run", "study.yaml", "-q", "--set", "budget.trials=1")

    assert result.stderr == ""
    assert result.stdout.startswith("tiny: f1_macro")


def test_json_of_run_is_one_document(selector: Command) -> None:
    result = selector("run", "study.yaml", "--set", "budget.trials=1", "--format", "json")

    assert json.loads(result.stdout)["trials"]["complete"] == 1


def test_another_metric_is_a_conflict_with_the_stored_study(selector: Command, place: Path) -> None:
    selector("run", "study.yaml", "-q", "--set", "budget.trials=1")
    before = _trials(place)

    result = selector("run", "study.yaml", "--set", "metric.name=accuracy")

    assert result.exit_code == 3
    assert "error: Study 'tiny' is stored with other settings" in result.stderr
    assert "metric.name: 'f1_macro' -> 'accuracy'" in result.stderr
    assert result.stdout == ""
    assert _trials(place) == before


def test_a_new_choice_keeps_all_earlier_trials(selector: Command, place: Path) -> None:
    assert selector("run", "study.yaml", "-q").exit_code == 0
    before = _trials(place)

    more = ("--set", "search.batch_size=[8, 16, 32]", "--set", "budget.trials=5")
    result = selector("run", "study.yaml", *more)

    assert result.exit_code == 0, result.stderr
    assert "wider   search.batch_size: [16, 32] -> [8, 16, 32]" in result.stderr
    assert _trials(place)[:3] == before
    assert [trial[:2] for trial in _trials(place)] == [(n, "complete") for n in range(5)]
    # The same command goes on with the version that it made.
    assert selector("run", "study.yaml", "-q", *more).exit_code == 0


def test_a_change_is_accepted_on_purpose_or_made_another_study(
    selector: Command, place: Path
) -> None:
    selector("run", "study.yaml", "-q", "--set", "budget.trials=1")
    change = ("--set", "seed=7", "--set", "budget.trials=2")

    assert selector("run", "study.yaml", "-q", *change).exit_code == 3
    forked = selector("run", "study.yaml", "-q", *change, "--fork", "tiny-seven")
    assert forked.exit_code == 0, forked.stderr
    accepted = selector("run", "study.yaml", *change, "--accept-drift")

    assert accepted.exit_code == 0, accepted.stderr
    assert "changed seed: 1 -> 7 (accepted)" in accepted.stderr
    with Store.open(f"sqlite:///{place / 'selector.db'}") as store:
        assert store.counts("tiny-seven").complete == 2
        assert store.runs("tiny")[-1].environment["accepted_drift"] == ["  seed: 1 -> 7"]


def test_a_study_without_any_complete_trial_exits_5(selector: Command, place: Path) -> None:
    # The decay alone multiplies the weights by -1e20 at each step, so they overflow at once.
    exploding = "lr: 1.0\n  optimizer: sgd\n  warmup_epochs: 0\n  weight_decay: 1.0e+20"
    (place / "study.yaml").write_text(
        STUDY.replace("lr: {log_uniform: [1.0e-3, 1.0e-2]}", exploding)
    )

    result = selector("run", "study.yaml", "--set", "budget.trials=2")

    assert result.exit_code == 5, result.stderr
    assert "no trial completed: 2 failed" in result.stderr
    assert "failed    toy:cnn" in result.stderr
    assert "non_finite" in selector("show", "tiny").stdout


def test_memory_that_runs_out_after_training_is_the_cause_oom(
    selector: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def latency_ms(*_arguments: object, **_named: object) -> float:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(keeping, "latency_ms", latency_ms)

    result = selector("run", "study.yaml", "--set", "budget.trials=1")

    assert result.exit_code == 5
    assert "oom: toy:cnn: out of memory on cpu with batch size" in result.stderr


def test_a_checkpoint_that_cannot_be_written_ends_the_run_and_loses_no_trial(
    selector: Command, place: Path
) -> None:
    (place / "selector-artifacts").mkdir()
    in_the_way = place / "selector-artifacts" / "tiny"
    in_the_way.write_text("")

    result = selector("run", "study.yaml", "-q")

    assert result.exit_code == 4
    assert "tiny/trial-0000-" in result.stderr
    assert "cannot be written: " in result.stderr
    with Store.open(f"sqlite:///{place / 'selector.db'}") as store:
        assert [row.state for row in store.trials("tiny")] == ["waiting"]

    in_the_way.unlink()
    assert selector("run", "study.yaml", "-q").exit_code == 0
    assert [trial[:2] for trial in _trials(place)] == [(n, "complete") for n in range(3)]


def test_dry_run_prints_the_plan_and_stores_nothing(selector: Command, place: Path) -> None:
    result = selector("run", "study.yaml", "--dry-run")

    assert result.exit_code == 0, result.stderr
    for part in ("Plan of study tiny", "time", "disk", "memory", "First trials", "Measured"):
        assert part in result.stdout
    assert not (place / "selector.db").exists()
    assert not (place / "selector-artifacts").exists()


def test_the_plan_says_what_is_continuous_and_what_can_be_counted(selector: Command) -> None:
    endless = selector("run", "study.yaml", "--dry-run", "-q").stdout
    assert re.search(r"space +lr, batch_size; continuous: lr$", endless, re.MULTILINE), endless

    counted = selector("run", "study.yaml", "--dry-run", "-q", "--set", "search.lr=[1e-3, 1e-2]")
    assert re.search(r"space +lr, batch_size: 4 combinations$", counted.stdout, re.MULTILINE)


def test_lines_of_trials_align_for_backbones_of_any_name(selector: Command, place: Path) -> None:
    names = ["toy:cnn", "timm:test_efficientnet_evos.r160_in1k"]
    spec = STUDY.replace("backbone: toy:cnn", f"backbone: [{', '.join(names)}]")
    (place / "study.yaml").write_text(f"{spec}weights: random\n")

    result = selector(
        "run", "study.yaml", "--set", "budget.trials=2", "--set", "search.image_size=32"
    )

    lines = [line for line in result.stderr.splitlines() if line.startswith("trial ")]
    assert len(lines) == 2, result.stderr
    assert len({line.index(" @ ") for line in lines}) == 1, lines


@pytest.mark.parametrize("output", ["json", "csv", "md"])
def test_the_plan_comes_in_every_format(selector: Command, output: str) -> None:
    result = selector("run", "study.yaml", "--dry-run", "-q", "--format", output)

    assert result.exit_code == 0, result.stderr
    if output == "json":
        plan = json.loads(result.stdout)
        assert plan["trials"] == 3
        assert plan["cache_bytes"] == 170 * 16 * 16 * 3
    assert "toy:cnn" in result.stdout


def test_the_finals_are_told_line_by_line_and_end_with_the_pick(selector: Command) -> None:
    result = selector("run", "study.yaml", "--set", "finals={top: 2, seeds: 1}")

    assert result.exit_code == 0, result.stderr
    lines = result.stderr.splitlines()
    assert sum(line.startswith("finals  trials ") for line in lines) == 1
    assert sum(line.startswith("final ") and ", seed 2  complete" in line for line in lines) >= 2
    assert lines[-2].startswith("pick    trial ")
    assert "Pick: trial " in result.stdout
