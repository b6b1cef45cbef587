"""Dirty data: one pass finds every fault, and what is odd but sound is decoded right."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selector.data import Dataset, inspect
from selector.errors import DataError, visible
from selector.spec.schema import DataSpec

from .corpus import BAD, FIXTURES, GOOD, Fixture, write_corpus
from .files import class_folders, data, listed_images, save_picture, table


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "data")


@pytest.fixture(scope="module")
def complaints(corpus: Path) -> list[str]:
    """What is said of the corpus, ten lines at most of a kind being lifted to all of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("selector.data.problems.LISTED", 1000)
        with pytest.raises(DataError) as caught:
            inspect(data(corpus), base=Path())
    return list(caught.value.problems)


@pytest.fixture(scope="module")
def mended(corpus: Path) -> Dataset:
    return inspect(data(corpus, on_bad_image="skip"), base=Path())


def named(fixtures: tuple[Fixture, ...]) -> list[pytest.ParameterSet]:
    return [pytest.param(each, id=visible(each.name)[:40]) for each in fixtures]


def harmless(line: str) -> bool:
    """Whether printing it moves no cursor, begins no line and turns no text around."""
    return not any(
        unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(c) in ("LRE", "RLE", "LRO", "RLO", "PDF")
        or unicodedata.bidirectional(c) in ("LRI", "RLI", "FSI", "PDI")
        for c in line
    )


def test_the_corpus_is_large_enough() -> None:
    assert len(GOOD) >= 25 and len(BAD) >= 20
    assert len({fixture.name for fixture in FIXTURES}) == len(FIXTURES)


@pytest.mark.parametrize("fixture", named(BAD))
def test_one_pass_names_every_bad_file_with_the_reason(
    fixture: Fixture, complaints: list[str]
) -> None:
    (line,) = [each for each in complaints if each.startswith(f"{visible(fixture.path)}: ")]
    assert fixture.reason in line


def test_nothing_else_is_complained_about(complaints: list[str]) -> None:
    assert len(complaints) == len(BAD)


@pytest.mark.parametrize("fixture", named(GOOD))
def test_what_is_odd_but_sound_is_decoded_right(fixture: Fixture, mended: Dataset) -> None:
    (index,) = [i for i, each in enumerate(mended.samples) if each.id == fixture.path]
    image = mended.images.load(index).image
    assert (image.mode, image.size) == ("RGB", fixture.size)
    off = np.abs(np.subtract(image.getpixel((0, 0)), fixture.shown)).max()
    assert off <= (3 if fixture.lossy else 0)


def test_what_is_skipped_is_recorded_with_its_reason(mended: Dataset) -> None:
    assert set(mended.summary.skipped) == {visible(fixture.path) for fixture in BAD}
    assert len(mended.summary.audit.bad) == len(BAD)
    for fixture in BAD:
        (line,) = [
            each
            for each in mended.summary.audit.bad
            if each.startswith(f"{visible(fixture.path)}: ")
        ]
        assert fixture.reason in line


def test_no_line_about_the_data_can_steer_a_terminal(complaints: list[str]) -> None:
    assert all(map(harmless, complaints))


def test_bombs_cost_no_memory(corpus: Path, tmp_path: Path) -> None:
    folder = class_folders(tmp_path / "d", {"mixed": 3, "sound": 3})
    for fixture in BAD:
        if "bomb" in fixture.name:
            (folder / fixture.path).write_bytes(fixture.content())
    code = (
        "import resource; from pathlib import Path; from selector.data import inspect;"
        "from selector.spec.schema import DataSpec;"
        f"spec = DataSpec(path={str(folder)!r}, on_bad_image='skip');"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "print(len(inspect(spec, base=Path()).summary.skipped),"
        " resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    skipped, grown = (int(word) for word in run.stdout.split())
    unit = 1 if sys.platform == "darwin" else 1024
    assert skipped == 4
    assert grown * unit < 150e6  # the smallest of the four would take 240 MB in colour


# --- folders and links --------------------------------------------------------------------------


def refused(folder: Path, **settings: object) -> str:
    with pytest.raises(DataError) as caught:
        inspect(data(folder, **settings), base=Path())
    return "\n".join(caught.value.problems)


def test_every_kind_of_bad_folder_and_link_is_found_in_one_pass(
    flowers: Path, tmp_path: Path
) -> None:
    outside = save_picture(tmp_path / "outside.png", 1)
    (flowers / "rose" / "out.png").symlink_to(outside)
    (flowers / "rose" / "gone.png").symlink_to("nowhere.png")
    (flowers / "rose" / "itself.png").symlink_to("itself.png")
    (flowers / "ouroboros").symlink_to("ouroboros")
    (flowers / "rose" / "up").symlink_to("..", target_is_directory=True)
    (flowers / "secrets").symlink_to(tmp_path, target_is_directory=True)
    (flowers / "empty").mkdir()
    save_picture(flowers / "lonely" / "one.png", 77)
    (flowers / "tulip" / "bad.png").write_bytes(b"")
    text = refused(flowers)
    for part in (
        "rose/out.png: the link leads out of the data folder",
        "rose/gone.png: the link points to",
        "rose/itself.png: the link cannot be followed",
        "ouroboros: the link cannot be followed",
        "rose/up: the link leads back to a folder it lies in",
        "secrets: the link leads out of the data folder",
        "empty: the class folder holds no images",
        "Class 'lonely' has 1 image",
        "tulip/bad.png: not an image",
    ):
        assert part in text
    assert len(text.splitlines()) == 9


def test_what_is_no_file_is_passed_over_and_not_waited_for(flowers: Path) -> None:
    os.mkfifo(flowers / "rose" / "pipe.png")
    assert inspect(data(flowers), base=Path()).summary.skipped == ("rose/pipe.png",)


def test_a_folder_called_like_an_image_is_a_folder(flowers: Path) -> None:
    save_picture(flowers / "rose" / "more.png" / "inside.png", 5)
    ids = {sample.id for sample in inspect(data(flowers), base=Path()).samples}
    assert "rose/more.png/inside.png" in ids


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take both for one name")
def test_two_spellings_of_one_name_are_refused(flowers: Path) -> None:
    save_picture(flowers / "rose" / "caf\u00e9.png", 1)
    save_picture(flowers / "rose" / "cafe\u0301.png", 2)
    assert "rose/caf\u00e9.png: two files have this name" in refused(flowers)


def test_two_spellings_of_one_label_are_one_class(tmp_path: Path) -> None:
    rows = listed_images(tmp_path, 6)
    for number, row in enumerate(rows):
        if row["label"] == "ant":
            row["label"] = "caf\u00e9" if number % 4 else "cafe\u0301"
    dataset = inspect(data(table(tmp_path / "list.csv", rows)), base=Path())
    assert dataset.class_names == ("bee", "caf\u00e9")


def test_folders_without_an_end_are_refused(flowers: Path) -> None:
    deep = flowers / "rose"
    for _ in range(120):
        deep = deep / "d"
    save_picture(deep / "a.png", 0)
    assert "more than 100 folders deep" in refused(flowers)


@pytest.fixture
def nobody() -> Iterator[Path]:
    """A folder of images for a user who may not read everything, even where tests run as root."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        yield class_folders(root / "d", {"ant": 5, "bee": 5})
        if os.geteuid() != os.getuid():
            os.seteuid(os.getuid())


@pytest.mark.skipif(os.name != "posix", reason="file modes are those of POSIX")
def test_what_may_not_be_read_is_named(nobody: Path) -> None:
    (nobody / "ant" / "000.png").chmod(0)
    save_picture(nobody / "bee" / "locked" / "a.png", 3)
    (nobody / "bee" / "locked").chmod(0)
    if os.geteuid() == 0:
        os.seteuid(65534)
    try:
        text = refused(nobody)
    finally:
        if os.geteuid() != os.getuid():
            os.seteuid(os.getuid())
        (nobody / "bee" / "locked").chmod(stat.S_IRWXU)
    assert "ant/000.png: cannot be read (Permission denied)." in text
    assert "locked: cannot be read (Permission denied)." in text


# --- names and paths that nobody thought of -----------------------------------------------------


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(image=st.text(max_size=40), label=st.text(max_size=10))
def test_any_text_in_a_listing_is_a_sample_or_a_data_error(
    image: str, label: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("listing")
    rows = [*listed_images(folder, 3), {"path": image, "label": label}]
    try:
        path = table(folder / "list.csv", rows)
    except (UnicodeEncodeError, ValueError):
        return  # a file in UTF-8 cannot hold it
    try:
        inspect(data(path), base=Path())
    except DataError as error:
        assert all(map(harmless, error.problems))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(name=st.text(min_size=1, max_size=60))
def test_any_text_as_the_path_of_the_data_is_a_data_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        inspect(data(Path("nowhere") / name), base=tmp_path)
    assert all(map(harmless, caught.value.problems))


@pytest.mark.parametrize("path", ["a" * 5000, "a\0b", "~nobody-of-this-name/x", "loop"])
def test_a_path_that_cannot_exist_is_a_data_error(path: str, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(DataError, match=r"data\.path"):
        inspect(data(Path(path)), base=tmp_path)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(name=st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=60))
def test_any_name_of_a_bad_file_is_shown_on_one_line(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = class_folders(tmp_path_factory.mktemp("names") / "d", {"ant": 3, "bee": 3})
    try:
        (folder / "ant" / f"x{name}.png").write_bytes(b"no image")
    except (OSError, UnicodeEncodeError):
        return  # this file system knows no such name
    (line,) = refused(folder).splitlines()
    assert harmless(line) and ("not an image" in line or "not valid UTF-8" in line)


def test_every_file_is_named_in_a_list_where_the_lines_are_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the cap on lines as it is: the terminal stays short and nothing is left unnamed."""
    monkeypatch.setenv("SELECTOR_ARTIFACTS", str(tmp_path / "artifacts"))
    names = [f"bad {number}\n.png" for number in range(25)]
    for label in ("ant", "bee"):
        (tmp_path / "images" / label).mkdir(parents=True)
        for name in names:
            (tmp_path / "images" / label / name).write_bytes(b"no image at all")
    with pytest.raises(DataError) as caught:
        inspect(DataSpec(path="images"), base=tmp_path, cache=tmp_path / "cache")
    assert len(caught.value.problems) <= 15
    path = tmp_path / "artifacts" / "data-problems.txt"
    assert f"are listed in '{path}'" in caught.value.problems[-1]
    listed = path.read_text().splitlines()
    for label in ("ant", "bee"):
        for number in range(25):
            assert sum(f"{label}/bad {number}\\n.png" in line for line in listed) == 1
