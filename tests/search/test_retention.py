"""Checkpoints beyond the best leave record and disk, in this order, and others never do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from selector.search import retention
from selector.store import Store


@pytest.fixture
def artifacts(filled: Store, tmp_path: Path) -> Path:
    """A folder with the checkpoints that the store's study refers to."""
    folder = tmp_path / "artifacts"
    (folder / "flowers").mkdir(parents=True)
    for each in filled.checkpoints("flowers"):
        (folder / each.file).write_bytes(b"weights")
    return folder


@pytest.fixture
def store(store_url: str) -> Any:
    with Store.open(store_url) as opened:
        yield opened


def _collect(store: Store, artifacts: Path, best: int | None, top: int | None = None) -> list[int]:
    gone = retention.collect(
        store, "flowers", goal="maximize", best=best, top=top, artifacts=artifacts
    )
    return [each.trial for each in gone]


def _files(artifacts: Path) -> list[str]:
    return sorted(path.name for path in (artifacts / "flowers").iterdir())


def test_the_best_so_many_checkpoints_stay(filled: Store, artifacts: Path) -> None:
    assert _collect(filled, artifacts, 2) == [4]
    assert _files(artifacts) == ["0.safetensors", "1.safetensors"]
    assert [each.trial for each in filled.checkpoints("flowers")] == [0, 1]
    rows = {row.number: row for row in filled.trials("flowers")}
    assert rows[4].checkpoint is None
    assert rows[4].state == "complete"
    assert filled.log_probabilities("flowers", 4).shape == (60, 3)
    assert _collect(filled, artifacts, 2) == []


def test_finals_find_the_checkpoints_of_whom_they_may_choose(
    filled: Store, artifacts: Path
) -> None:
    assert _collect(filled, artifacts, 1, top=3) == []
    assert _collect(filled, artifacts, 1, top=2) == [4]
    # The reference scores less than the best one, and is still there to be measured against.
    assert [each.trial for each in filled.checkpoints("flowers")] == [0, 1]


def test_without_a_bound_nothing_goes(filled: Store, artifacts: Path) -> None:
    assert _collect(filled, artifacts, None) == []
    assert len(_files(artifacts)) == 3


def test_the_protected_are_never_collected(
    filled: Store, artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The best one, and the first configuration of all, which it is measured against.
    assert retention.protected_trials(filled, "flowers", goal="maximize", top=None) == {0, 1}
    assert retention.protected_trials(filled, "flowers", goal="maximize", top=3) == {0, 1, 4}
    monkeypatch.setattr(retention, "protected_trials", lambda *_, **__: frozenset({4}))
    assert _collect(filled, artifacts, 1) == [0]


def test_a_process_that_dies_between_record_and_file_leaves_a_file_and_no_dangling_record(
    filled: Store, artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(retention, "remove", die)
    with pytest.raises(KeyboardInterrupt):
        _collect(filled, artifacts, 1)
    assert len(_files(artifacts)) == 3
    assert all((artifacts / file).exists() for file in filled.files())


def test_a_file_that_another_trial_refers_to_stays(
    filled: Store, artifacts: Path, results: Any
) -> None:
    filled.create_study(results.study("trees"))
    run = filled.begin_run(results.run_start("trees"))
    filled.start_trial("trees", run, results.trial_start(4))
    filled.finish_trial("trees", results.complete(4))
    assert _collect(filled, artifacts, 1) == [4]
    assert _files(artifacts) == ["0.safetensors", "1.safetensors", "4.safetensors"]


def test_nothing_outside_the_artifacts_folder_is_ever_deleted(tmp_path: Path) -> None:
    outside = tmp_path / "precious"
    outside.write_text("")
    (tmp_path / "artifacts").mkdir()
    retention.remove(tmp_path / "artifacts", "../precious")
    assert outside.exists()
