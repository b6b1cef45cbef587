"""Whatever is wrong with the files of the cache, a trial goes on with the right numbers."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from selector.training.cache.entries import ABOUT, ROWS, EntryWriter
from selector.training.cache.key import pass_name
from selector.training.cache.quota import pass_lock

from .conftest import SPLIT, Watched, assert_right, computed_of, make_network_of, opened

# --- files that cannot be used ------------------------------------------------------------------


def test_a_folder_that_cannot_be_made_keeps_nothing_and_stops_nothing(tmp_path):
    (tmp_path / "prefixes").write_text("a file")
    watched = Watched(tmp_path)
    assert opened(watched, 3) is None
    assert opened(watched, 3) is None
    assert watched.outcomes == ["declined", "declined"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")
def test_an_entry_that_may_not_be_read_is_not_kept(tmp_path):
    opened(Watched(tmp_path, depths=()), 3)
    watched = Watched(tmp_path, depths=())
    entry = watched.entries[0]
    entry.chmod(0)
    watched.folder.chmod(0o500)
    try:
        assert opened(watched, 3) is None
        assert watched.outcomes == ["declined"]
    finally:
        watched.folder.chmod(0o700)
        entry.chmod(0o700)


@pytest.mark.parametrize(
    "code", [errno.EACCES, errno.EROFS, errno.ENOSPC, errno.ENOENT], ids=errno.errorcode.get
)
def test_an_entry_that_cannot_be_finished_is_not_kept(code, tmp_path, monkeypatch):
    def fail(self, **_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(EntryWriter, "finish", fail)
    watched = Watched(tmp_path)
    assert opened(watched, 3) is None
    assert watched.outcomes == ["declined"]
    assert watched.used_bytes == 0


def test_an_entry_that_cannot_be_marked_is_read_all_the_same(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    watched = Watched(tmp_path)
    opened(watched, 3)
    monkeypatch.setattr(os, "utime", fail)
    assert_right(opened(watched, 3), 3)
    assert watched.outcomes == ["filled", "hit"]


def deleting(network, folder: Path, *, times: int) -> None:
    """Delete the folder in the middle of the first passes over the images."""
    left = [None] * times

    def delete(*_):
        if left and folder.exists():
            left.pop()
            shutil.rmtree(folder)

    network.backbone.stages[1].register_forward_hook(delete)


def test_a_folder_deleted_during_a_pass_is_made_and_filled_again(tmp_path):
    watched, network = Watched(tmp_path), make_network_of("toy:cnn", 3)
    deleting(network, watched.folder, times=1)
    assert_right(watched.open(network, SPLIT), 3)
    assert watched.outcomes == ["filled"]


def test_a_folder_deleted_during_every_pass_stops_nothing(tmp_path):
    watched, network = Watched(tmp_path), make_network_of("toy:cnn", 3)
    deleting(network, watched.folder, times=2)
    assert watched.open(network, SPLIT) is None
    assert watched.outcomes == ["declined"]


def test_an_entry_thrown_out_right_after_its_pass_stops_nothing(tmp_path, monkeypatch):
    finish = EntryWriter.finish

    def finish_and_lose(self, **seconds):
        final = finish(self, **seconds)
        shutil.rmtree(final)
        return final

    monkeypatch.setattr(EntryWriter, "finish", finish_and_lose)
    watched = Watched(tmp_path)
    assert opened(watched, 3) is None
    assert watched.outcomes == ["declined"]


def test_the_wait_for_another_process_is_bounded(tmp_path):
    watched = Watched(tmp_path, wait_seconds=0.05)
    watched.folder.mkdir()
    network = make_network_of("toy:cnn", 3)
    with pass_lock(watched.folder, pass_name(computed_of(network, SPLIT), SPLIT)):
        assert watched.open(network, SPLIT) is None
    assert watched.outcomes == ["declined"]
    opened(Watched(tmp_path), 3)
    assert_right(watched.open(network, SPLIT), 3)  # what others kept meanwhile is found


# --- damage -------------------------------------------------------------------------------------


def flip_byte(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 0x10
    path.write_bytes(content)


DAMAGES = {
    "a flipped byte in the rows": lambda entry: flip_byte(entry / ROWS, -5),
    "a flipped byte in the header": lambda entry: flip_byte(entry / ROWS, 60),
    "a flipped digit in the description": lambda entry: (entry / ABOUT).write_text(
        (entry / ABOUT).read_text().replace("32", "23", 1)
    ),
    "rows cut short": lambda entry: os.truncate(entry / ROWS, 500),
    "an empty file": lambda entry: os.truncate(entry / ROWS, 0),
    "no rows": lambda entry: (entry / ROWS).unlink(),
    "no description": lambda entry: (entry / ABOUT).unlink(),
    "a description cut short": lambda entry: os.truncate(entry / ABOUT, 30),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_noticed_and_filled_again(damage, tmp_path):
    first = Watched(tmp_path, depths=())
    opened(first, 3)
    DAMAGES[damage](first.entries[0])
    later = Watched(tmp_path, depths=())
    assert_right(opened(later, 3), 3)
    assert later.outcomes == ["filled"]
    assert_right(opened(Watched(tmp_path), 3), 3)


def test_damage_after_the_first_look_is_noticed_too(tmp_path):
    watched = Watched(tmp_path, depths=())
    opened(watched, 3)
    flip_byte(watched.entries[0] / ROWS, -5)
    assert_right(opened(watched, 3), 3)
    assert watched.outcomes == ["filled", "filled"]
