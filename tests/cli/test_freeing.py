"""`keep` bounds the checkpoints of a real study, and `gc` frees what is left over."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from pathlib import Path

import pytest

from selector.disk import freeable
from selector.records import TrialRow
from selector.search import resuming
from selector.settings import load_settings
from selector.store import Store
from selector.training import TrainingState
from tests.cli.conftest import Command

KEEP = ["--set", "keep.best=1", "--set", "budget.trials=3"]


def _checkpoints(place: Path) -> list[Path]:
    return sorted((place / "selector-artifacts" / "tiny").glob("*.safetensors"))


def _age(path: Path) -> None:
    os.utime(path, (0, 0))


def _gc(selector: Command, *options: str) -> dict[str, object]:
    result = selector("gc", *options, "--format", "json")
    assert result.exit_code == 0, result.stderr
    document: dict[str, object] = json.loads(result.stdout)
    return document


def test_a_candidate_whose_checkpoint_was_not_kept_says_so_and_comes_back(
    selector: Command, place: Path
) -> None:
    assert selector("run", "study.yaml", "-q", *KEEP).exit_code == 0
    rows, kept = _rows_and_kept()
    assert len(_checkpoints(place)) == len(kept)
    lost = next(row for row in rows if row.number not in kept)
    assert {row.number for row in rows if row.checkpoint is not None} == kept

    report = selector("report", "tiny")
    assert "Checkpoints are kept of trials" in report.stdout
    image = place / "image.png"
    _draw(image)
    assert selector("predict", "tiny", image).exit_code == 0
    refused = selector("predict", "tiny", image, "--trial", lost.number)
    assert refused.exit_code == 4
    assert f"trial {lost.number} of study 'tiny' was not kept" in refused.stderr
    shown = selector("show", "tiny", lost.number, "--format", "md")
    assert "was not kept" in shown.stdout

    command = shlex.split(re.search(r"selector (run .*)", refused.stderr)[1])  # type: ignore[index]
    command[command.index("FILE")] = "study.yaml"
    assert selector(*command, "-q").exit_code == 0
    with Store.open(load_settings().store) as store:
        (row,) = store.trials(f"tiny.again-{lost.number}")
    assert row.score == lost.score
    assert row.checkpoint is not None


def test_gc_says_what_it_would_free_and_frees_it(selector: Command, place: Path) -> None:
    assert selector("run", "study.yaml", "-q", "--set", "budget.trials=2").exit_code == 0
    first, second = _checkpoints(place)
    # As a process leaves it that dies after it took a checkpoint off the record.
    with Store.open(load_settings().store) as store:
        kept = store.checkpoints("tiny")[0]
        store.forget_checkpoints("tiny", [1])
    orphan = second if first.name in kept.file else first
    leftover = orphan.with_name(f".{orphan.name}.0.tmp")
    leftover.write_bytes(b"half")
    foreign = orphan.with_name("foreign.safetensors")
    foreign.write_bytes(b"not ours")
    assert _gc(selector)["items"] == []  # all of it is young: somebody may be writing it
    for path in (first, second, leftover, foreign):
        _age(path)

    promised = _gc(selector, "tiny", "--dry-run")
    assert [item["kind"] for item in promised["items"]] == ["orphan", "temporary"]  # type: ignore[attr-defined]
    assert promised["bytes"] == orphan.stat().st_size + 4
    assert orphan.exists()
    freed = _gc(selector, "tiny")
    assert freed["items"] == promised["items"]
    assert not orphan.exists()
    assert not leftover.exists()
    assert foreign.exists()
    assert (place / "selector-artifacts" / kept.file).exists()
    assert _gc(selector)["items"] == []


RESUMABLE = ["--set", "training.checkpoint_seconds=0", "--set", "budget.epochs=2"]


def _resumable(place: Path) -> list[str]:
    folder = place / "selector-artifacts" / "tiny" / "resume"
    for path in folder.glob("*/*"):
        _age(path)
    return sorted(path.name.rpartition("-")[0] for path in folder.glob("*"))


def test_what_a_trial_that_ended_had_kept_of_itself_is_freed(
    selector: Command, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As a worker leaves it that dies between the end of a trial and this.
    monkeypatch.setattr(resuming, "forget", lambda *_: None)
    assert selector("run", "study.yaml", "-q", *RESUMABLE).exit_code == 0
    assert _gc(selector, "--dry-run")["items"] == []
    assert _resumable(place) == ["trial-0000", "trial-0001", "trial-0002"]

    promised = _gc(selector, "--dry-run")
    assert [(i["kind"], i["study"], i["trial"]) for i in promised["items"]] == [  # type: ignore[attr-defined]
        ("resume", "tiny", number) for number in range(3)
    ]
    assert len(_resumable(place)) == 3
    assert _gc(selector, "tiny")["items"] == promised["items"]
    assert _resumable(place) == []
    assert len(_checkpoints(place)) == 3


def test_what_a_waiting_trial_kept_stays_until_its_study_is_deleted(
    selector: Command, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = resuming.ResumePoint.keep

    def keep_and_stop(point: resuming.ResumePoint, state: TrainingState) -> None:
        keep(point, state)
        raise KeyboardInterrupt

    monkeypatch.setattr(resuming.ResumePoint, "keep", keep_and_stop)
    assert selector("run", "study.yaml", "-q", *RESUMABLE).exit_code == 130
    assert _resumable(place) == ["trial-0000"]
    assert _gc(selector)["items"] == []
    with Store.open(load_settings().store) as store, Store.open("sqlite:///other.db") as other:
        store.delete_study("tiny")
        assert freeable(other, artifacts=load_settings().artifacts) == ()  # not its own
    assert [item["kind"] for item in _gc(selector)["items"]] == ["resume"]  # type: ignore[attr-defined]
    assert _resumable(place) == []


def test_gc_applies_a_bound_that_was_set_later(selector: Command, place: Path) -> None:
    assert selector("run", "study.yaml", "-q", *KEEP[2:]).exit_code == 0
    assert len(_checkpoints(place)) == 3
    assert selector("run", "study.yaml", "-q", *KEEP).exit_code == 0
    _, kept = _rows_and_kept()
    table = selector("gc")
    assert f"freed in {3 - len(kept)} files" in table.stdout
    assert len(_checkpoints(place)) == len(kept)


def test_a_file_of_another_store_that_shares_the_folder_stays(
    selector: Command, place: Path
) -> None:
    assert selector("run", "study.yaml", "-q", "--set", "budget.trials=1").exit_code == 0
    other = ["--store", "sqlite:///other.db"]
    different = ["--set", "seed=2", "--set", "budget.trials=1"]
    assert selector("run", "study.yaml", "-q", *other, *different).exit_code == 0
    for path in _checkpoints(place):
        _age(path)
    assert len(_checkpoints(place)) == 2
    assert _gc(selector)["items"] == []
    assert _gc(selector, *other)["items"] == []


def test_caches_are_freed_on_request_and_come_back(
    selector: Command, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELECTOR_CACHE", str(place / "cache"))
    assert selector("run", "study.yaml", "-q", "--set", "budget.trials=1").exit_code == 0
    entry = place / "cache" / "prefixes" / "0123"
    entry.mkdir(parents=True)
    (entry / "rows.npy").write_bytes(b"rows")
    images = list((place / "cache" / "images").glob("*.npy"))
    assert images
    for path in images:
        _age(path)
    assert _gc(selector)["items"] == []
    kinds = {item["kind"] for item in _gc(selector, "--cache")["items"]}  # type: ignore[attr-defined]
    assert kinds == {"images", "prefix"}
    assert not any(path.exists() for path in (*images, entry))
    again = ["--set", "budget.trials=2"]
    assert selector("run", "study.yaml", "-q", *again).exit_code == 0
    shutil.rmtree(place / "cache")


def _rows_and_kept() -> tuple[tuple[TrialRow, ...], set[int]]:
    """The trials, and those with a checkpoint: the best, and the first that it is measured against.

    Never all three.
    """
    with Store.open(load_settings().store) as store:
        rows = store.trials("tiny")
    return rows, {0, max(rows, key=lambda row: row.score or 0).number}


def _draw(path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (16, 16), (200, 30, 30)).save(path)
