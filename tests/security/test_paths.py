"""What a command, a stored row or a listing names is an id: none leads out of its folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sqlalchemy import text as sql

from selector.data import inspect
from selector.errors import ConflictError, DataError, InputError, StudyFileError
from selector.predict import candidate_of
from selector.reporting.html.pictures import MANIFEST, folder_of, read_pictures
from selector.spec import parse_study
from selector.spec.schema import DataSpec
from selector.store import Store
from tests.cli.conftest import STUDY, Command

HOSTILE = (
    "../secret",
    "../../secret",
    "../../../../../../../../etc/passwd",
    "/etc/passwd",
    "//etc/passwd",
    "/proc/self/environ",
    "~/.ssh/id_rsa",
    "..",
    "./../secret",
    "flowers/../../secret",
    "flowers/../../../etc/passwd",
    "..\\secret",
    "flowers\\..\\..\\secret",
    "C:\\Windows\\win.ini",
    "C:/Windows/win.ini",
    "\\\\host\\share\\secret",
    "file:///etc/passwd",
    "http://evil.example/secret",
    "%2e%2e/secret",
    "%2e%2e%2fsecret",
    "..%2fsecret",
    "%252e%252e%252fsecret",
    "..;/secret",
    "....//secret",
    "..\u2215secret",
    "\uff0e\uff0e/secret",
    "secret\x00.safetensors",
    "../secret\n",
    "secret\x1b[2J",
    " ../secret",
    ".hidden/secret",
    "-rf /",
)


def study_named(name: str) -> str:
    return STUDY.replace("name: tiny", f"name: {json.dumps(name)}")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_study_has_no_such_name(name: str) -> None:
    with pytest.raises(StudyFileError, match="name: "):
        parse_study(study_named(name))


@given(name=st.text(min_size=1, max_size=30))
def test_a_study_name_that_is_accepted_is_one_plain_file_name(name: str) -> None:
    try:
        spec = parse_study(study_named(name))
    except StudyFileError:
        return
    assert Path("folder", spec.name).parent == Path("folder")
    assert spec.name.isascii() and not spec.name.startswith(".")


def test_no_command_takes_a_path_for_a_study(finished: Command, finished_place: Path) -> None:
    before = sorted(finished_place.rglob("*"))
    for name in HOSTILE:
        for words in (("show",), ("report",), ("report", "--format", "html"), ("retry",)):
            result = finished(*words, "--", name)
            assert result.exit_code == 2, (words, name, result.output)
            assert "Unknown study" in result.stderr and "\x1b" not in result.stderr
        assert finished("predict", "--", name, "study.yaml").exit_code == 2
    assert sorted(finished_place.rglob("*")) == before


@pytest.mark.parametrize("name", HOSTILE)
def test_a_stored_file_name_never_leads_out_of_the_artifacts(
    name: str, filled_sqlite: Store
) -> None:
    with filled_sqlite.engine.begin() as connection:
        connection.execute(sql("UPDATE selector_artifacts SET file = :file"), {"file": name})

    with pytest.raises(ConflictError, match="which is no name below the artifacts folder") as error:
        candidate_of(filled_sqlite, "flowers")

    assert "\x1b" not in str(error.value)


@given(name=st.text(alphabet="./\\~ab:%\x00\n-_0", min_size=1, max_size=20))
def test_a_file_name_that_is_accepted_stays_below_its_folder(name: str) -> None:
    from selector.store.results import _name_below

    try:
        found = (Path("/artifacts") / _name_below(name)).resolve()
    except ConflictError:
        return
    assert found.is_relative_to("/artifacts") and found != Path("/artifacts")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_listing_names_no_image_outside_its_folder(name: str, tmp_path: Path) -> None:
    import csv

    Image.new("RGB", (8, 8), "red").save(tmp_path / "secret", format="PNG")
    folder = tmp_path / "deep" / "listing"
    folder.mkdir(parents=True)
    with (folder / "images.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "label"], *([[name, "a"], [name, "b"]] * 3)])

    with pytest.raises((DataError, InputError)) as error:
        inspect(DataSpec(path="images.csv"), base=folder, cache=tmp_path / "cache")

    assert "\x1b" not in str(error.value)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_manifest_of_pictures_names_files_of_its_own_folder_only(
    name: str, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, "flowers", 0)
    folder.mkdir(parents=True)
    for outside in (tmp_path, folder.parent):
        Image.new("RGB", (8, 8), "red").save(outside / "secret", format="PNG")
    entry = {"sample": name, "label": name, "predicted": name, "probability": 1.0}
    text = json.dumps({"errors": [{**entry, "image": name, "saliency": None}]})
    (folder / MANIFEST).write_text(text)

    assert read_pictures(tmp_path, "flowers", 0) == ()


@pytest.fixture
def filled_sqlite(tmp_path: Path, results) -> Store:  # type: ignore[no-untyped-def]
    """A store with one study, `flowers`."""
    with Store.open(f"sqlite:///{tmp_path / 'selector.db'}") as store:
        results.fill(store)
        assert candidate_of(store, "flowers").checkpoint == "flowers/1.safetensors"
        yield store
