"""Data behind a URL: fetched once, kept in step, and never outside its folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from selector import data
from selector.data.mirror import is_url, mirrored
from selector.errors import DataError, UnavailableError
from selector.spec.schema import DataSpec
from tests.data.files import picture

URL = "memory://flowers"


@pytest.fixture
def remote() -> Iterator[fsspec.AbstractFileSystem]:
    """An empty file system behind a URL, for this test alone."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()


def put(remote: fsspec.AbstractFileSystem, names: dict[str, bytes]) -> None:
    for name, content in names.items():
        remote.pipe(f"/flowers/{name}", content)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


class Counting:
    """How many files were fetched."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, remote: fsspec.AbstractFileSystem) -> None:
        self.names: list[str] = []
        get = type(remote).get

        def counted(system: object, names: list[str], parts: list[str]) -> object:
            self.names += names
            return get(system, names, parts)

        monkeypatch.setattr(type(remote), "get", counted)


def test_only_what_is_new_or_changed_is_fetched_again(remote, tmp_path, monkeypatch):
    put(remote, {"a/1.png": b"one", "a/2.png": b"two", "b/3.png": b"three"})
    fetched = Counting(monkeypatch, remote)
    folder = mirrored(URL, tmp_path)
    assert tree(folder) == {"a/1.png": b"one", "a/2.png": b"two", "b/3.png": b"three"}
    assert len(fetched.names) == 3

    assert mirrored(URL, tmp_path) == folder
    assert len(fetched.names) == 3, "what is here was fetched again"

    put(remote, {"a/1.png": b"ONE", "b/4.png": b"four"})
    remote.rm("/flowers/a/2.png")
    mirrored(URL, tmp_path)
    assert sorted(fetched.names[3:]) == ["/flowers/a/1.png", "/flowers/b/4.png"]
    assert tree(folder) == {"a/1.png": b"ONE", "b/3.png": b"three", "b/4.png": b"four"}


def test_a_file_that_was_lost_here_is_fetched_again(remote, tmp_path):
    put(remote, {"a/1.png": b"one", "a/2.png": b"two"})
    folder = mirrored(URL, tmp_path)
    (folder / "a/1.png").unlink()
    mirrored(URL, tmp_path)
    assert (folder / "a/1.png").read_bytes() == b"one"


def test_a_fetch_that_broke_off_goes_on_where_it_was(remote, tmp_path, monkeypatch):
    put(remote, {f"a/{n}.png": bytes([n]) for n in range(9)})
    monkeypatch.setattr("selector.data.mirror.CHUNK", 4)
    get, calls = type(remote).get, []

    def broken(system: object, names: list[str], parts: list[str]) -> object:
        calls.append(len(names))
        if len(calls) == 2:
            raise ConnectionResetError("gone")
        return get(system, names, parts)

    monkeypatch.setattr(type(remote), "get", broken)
    with pytest.raises(UnavailableError, match="cannot be reached: gone"):
        mirrored(URL, tmp_path)
    folder = mirrored(URL, tmp_path)
    assert calls == [4, 4, 4, 1], "the first four were fetched twice"
    assert len(tree(folder)) == 9


def test_a_listing_comes_with_the_images_beside_it(remote, tmp_path):
    put(remote, {"all.csv": b"image,label\n1.png,a\n", "1.png": b"one"})
    assert mirrored(f"{URL}/all.csv", tmp_path) == mirrored(URL, tmp_path) / "all.csv"


@pytest.mark.parametrize("name", ["../out.png", "a/../../out.png", "a//b.png", "a\\b.png"])
def test_a_name_that_would_leave_the_folder_is_refused(name, remote, tmp_path):
    remote.pipe("/flowers/a/1.png", b"one")
    remote.store[f"/flowers/{name}"] = remote.store["/flowers/a/1.png"]
    with pytest.raises(DataError, match="is no name of a file below it"):
        mirrored(URL, tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".png"]


@pytest.mark.parametrize(
    ("url", "error", "line"),
    [
        ("memory://nowhere", DataError, "does not exist, or holds no file"),
        ("memori://flowers", DataError, "Protocol not known: memori"),
        ("s3://key:secret@bucket/flowers", DataError, "come from the environment"),
        ("https://host/flowers?token=secret", DataError, "come from the environment"),
    ],
)
def test_what_cannot_be_fetched_is_one_line(url, error, line, remote, tmp_path):
    with pytest.raises(error, match=line) as caught:
        mirrored(url, tmp_path)
    assert "\n" not in str(caught.value) and "secret" not in str(caught.value)


def test_a_scheme_whose_package_is_missing_names_it(remote, tmp_path, monkeypatch):
    # A name that fsspec knows, and a package that nobody has.
    known = sys.modules["fsspec.registry"].known_implementations
    entry = {"class": "no_such_package.Far", "err": "Install no-such-package"}
    monkeypatch.setitem(known, "far", entry)
    with pytest.raises(UnavailableError, match="needs a package: Install no-such-package"):
        mirrored("far://flowers", tmp_path)


def test_offline_takes_what_was_fetched_and_asks_nobody(remote, tmp_path, monkeypatch):
    with pytest.raises(UnavailableError, match="was never fetched to this machine"):
        mirrored(URL, tmp_path, offline=True)
    put(remote, {"a/1.png": b"one"})
    folder = mirrored(URL, tmp_path)
    remote.store.clear()
    assert mirrored(URL, tmp_path, offline=True) == folder
    assert tree(folder) == {"a/1.png": b"one"}


def test_the_same_images_are_the_same_data_wherever_they_lie(remote, tmp_path):
    local = tmp_path / "local"
    for label in ("a", "b"):
        (local / label).mkdir(parents=True)
        for number in range(12):
            seed = number + 100 * (label == "b")
            picture(seed).save(local / label / f"{number}.png")
    for name, content in tree(local).items():
        remote.pipe(f"/flowers/{name}", content)
    here = data.inspect(DataSpec(path="local"), base=tmp_path)
    there = data.inspect(DataSpec(path=URL), base=tmp_path, cache=tmp_path / "cache")
    assert there.summary.fingerprint == here.summary.fingerprint
    assert [sample.id for sample in there.samples] == [sample.id for sample in here.samples]


def test_a_path_of_this_machine_is_no_url():
    assert not is_url("data/flowers") and not is_url("C:/flowers")
    assert is_url("s3://bucket/flowers")
