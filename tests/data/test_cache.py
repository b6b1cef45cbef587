from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from selector.data.cache import fill_once
from selector.errors import UnavailableError


def test_a_file_that_is_there_is_not_filled_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    fill_once(path, lambda temporary: temporary.write_text("first"))
    fill_once(path, lambda temporary: temporary.write_text("second"))
    assert path.read_text() == "first"


def test_a_fill_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def fill(temporary: Path) -> None:
        temporary.write_text("half")
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        fill_once(tmp_path / "file", fill)
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".lock"] == []


def test_what_a_killed_process_left_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "file.tmp").write_text("a long leftover")
    fill_once(tmp_path / "file", lambda temporary: temporary.write_text("new"))
    assert (tmp_path / "file").read_text() == "new"
    assert not (tmp_path / "file.tmp").exists()


def test_a_cache_that_cannot_be_written_is_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file where the folder should be")
    with pytest.raises(UnavailableError, match=r"blocked.*SELECTOR_CACHE"):
        fill_once(tmp_path / "blocked" / "file", lambda temporary: temporary.write_text(""))


def test_processes_that_want_the_same_file_fill_it_once(tmp_path: Path) -> None:
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        list(pool.map(_fill, [tmp_path] * 6))
    assert (tmp_path / "fills").read_text() == "x"


def _fill(folder: Path) -> None:
    def fill(temporary: Path) -> None:
        with (folder / "fills").open("a") as file:
            file.write("x")
        temporary.write_text("content")

    fill_once(folder / "file", fill)
