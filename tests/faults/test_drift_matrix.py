"""What changed since a study was stored: what may change, and what is refused and touches nothing.

One finished study on each kind of database; every edit meets a copy of it.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import MetaData, select, text

from selector import environment
from selector.store import Store
from tests.cli.conftest import invoke
from tests.conftest import enter

STUDY = """\
name: drift
data: {path: images}
metric: {name: f1_macro, goal: maximize}
search:
  backbone: toy:cnn
  lr: {log_uniform: [1.0e-3, 1.0e-2]}
  freeze_depth: [0, 2]
  batch_size: [8, 16]
  image_size: 16
weights: random
pruner: none
budget: {trials: 1, epochs: 1}
finals: off
seed: 1
"""

Edit = Callable[[Path], object]


def written(old: str, new: str) -> Edit:
    """The study file with something else in it."""

    def edit(place: Path) -> None:
        content = (place / "study.yaml").read_text()
        assert old in content
        (place / "study.yaml").write_text(content.replace(old, new))

    return edit


def picture(path: Path, seed: int) -> None:
    image = Image.frombytes("RGB", (16, 16), bytes((seed * 7 + 11 * i) % 256 for i in range(768)))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def images_of(split: str) -> list[tuple[str, Path]]:
    return [
        (f"{split}/{label}/{number}.png", Path(split, label, f"{number}.png"))
        for label in ("dark", "light")
        for number in range(6)
    ]


def relabelled(place: Path) -> None:
    """An image of the validation split is said to be of the other class."""
    validation = place / "images/validation"
    (validation / "dark/0.png").rename(validation / "light/6.png")


def renamed(place: Path) -> None:
    for split in ("train", "validation", "test"):
        (place / "images" / split / "dark").rename(place / "images" / split / "shade")


def a_third_class(place: Path) -> None:
    for split in ("train", "validation", "test"):
        for number in range(6):
            picture(place / f"images/{split}/middle/{number}.png", 150 + number + 12 * len(split))


# Each with what the diff says of it.
REFUSED: dict[str, tuple[Edit, str]] = {
    "metric": (written("f1_macro", "accuracy"), "metric.name: 'f1_macro' -> 'accuracy'"),
    "direction": (
        written("{name: f1_macro, goal: maximize}", "{name: log_loss, goal: minimize}"),
        "metric.goal: 'maximize' -> 'minimize'",
    ),
    "narrower range": (
        written("[1.0e-3, 1.0e-2]", "[2.0e-3, 1.0e-2]"),
        "search.lr: log_uniform [0.001, 0.01] -> log_uniform [0.002, 0.01]",
    ),
    "fewer choices": (written("[0, 2]", "[0]"), "search.freeze_depth: [0, 2] -> 0"),
    "another fixed value": (
        written("image_size: 16", "image_size: 24"),
        "search.image_size: 16 -> 24",
    ),
    "another backbone": (
        written("toy:cnn", "bundled:mobilenet_v2"),
        "search.backbone: 'toy:cnn' -> (absent)",
    ),
    "other weights": (written("weights: random", "weights: pretrained"), "weights: 'random' ->"),
    "seed": (written("seed: 1", "seed: 2"), "seed: 1 -> 2"),
    "sampler": (written("seed: 1", "seed: 1\nsampler: random"), "sampler: 'tpe' -> 'random'"),
    "training": (written("seed: 1", "seed: 1\ntraining: {clip_norm: 0.5}"), "training.clip_norm:"),
    "another file": (lambda place: picture(place / "images/train/dark/9.png", 99), "data: 12/"),
    "a changed file": (lambda place: picture(place / "images/train/dark/0.png", 77), "data: 12/"),
    "a file less": (lambda place: (place / "images/train/dark/0.png").unlink(), "-> 11/12/12"),
    "another label": (relabelled, "data: 12/12/12 images"),
    "a class renamed": (renamed, "data: 12/12/12 images"),
    "a class more": (a_third_class, "-> 18/18/18 images"),
}
ALLOWED: dict[str, tuple[Edit, str]] = {
    "nothing": (lambda place: None, ""),
    "budget": (written("trials: 1", "trials: 2"), "2 trials"),
    "workers": (written("seed: 1", "seed: 1\nworkers: 2"), ""),
    "checkpoints": (written("seed: 1", "seed: 1\ntraining: {checkpoint_seconds: 5}"), ""),
    "keep": (written("seed: 1", "seed: 1\nkeep: {best: 3}"), ""),
    "finals": (written("finals: off", "finals: {seeds: 2}"), ""),
    "description": (written("name: drift", "name: drift\ndescription: again"), ""),
    "wider range": (
        written("[1.0e-3, 1.0e-2]", "[1.0e-4, 1.0e-2]"),
        "wider   search.lr: log_uniform [0.001, 0.01] -> log_uniform [0.0001, 0.01]",
    ),
    "more choices": (written("[8, 16]", "[8, 16, 32]"), "wider   search.batch_size: [8, 16] ->"),
    "one backbone more": (
        written("toy:cnn", "[toy:cnn, bundled:mobilenet_v2]"),
        "wider   search.backbone: (absent) -> 'bundled:mobilenet_v2'",
    ),
}


@dataclass(frozen=True)
class Finished:
    """A study that has run to its end, and the way to a copy of its database."""

    folder: Path
    url: str
    copied: Callable[[Path], str]  # what is copied lies in the folder it is given, if it is a file


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("drift")
    for split in ("train", "validation", "test"):
        for seed, (_, path) in enumerate(images_of(split)):
            picture(folder / "images" / path, seed + 12 * len(split))
    (folder / "study.yaml").write_text(STUDY)
    if request.param == "sqlite":
        url = f"sqlite:///{folder / 'selector.db'}"

        def copied(place: Path) -> str:
            source, target = (sqlite3.connect(p / "selector.db") for p in (folder, place))
            with source, target:
                source.backup(target)
            source.close()
            target.close()
            return f"sqlite:///{place / 'selector.db'}"
    else:
        url = request.getfixturevalue("new_postgres_url")()
        copied = copied_by(request.getfixturevalue("postgres_server"), url)
    with pytest.MonkeyPatch.context() as patch:
        place_in(folder, url, patch)
        ran = invoke("run", "study.yaml", "-q")
    assert ran.exit_code == 0, ran.stderr
    return Finished(folder, url, copied)


def copied_by(server: str, url: str) -> Callable[[Path], str]:
    """Copies of a PostgreSQL database, made by its server."""
    import psycopg

    name = url.partition("?")[0].rpartition("/")[2]

    def copied(place: Path) -> str:
        copy = f"{name}_{abs(hash(place))}"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {copy} TEMPLATE {name}")
        return url.replace(f"/{name}", f"/{copy}")

    return copied


def place_in(folder: Path, url: str, patch: pytest.MonkeyPatch) -> None:
    enter(folder, patch)
    patch.setenv("SELECTOR_STORE", url)


@pytest.fixture
def copy(finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of this test's copy, in whose folder the commands run."""
    for part in ("images", "artifacts", "cache"):
        shutil.copytree(finished.folder / part, tmp_path / part)
    (tmp_path / "study.yaml").write_text(STUDY)
    url = finished.copied(tmp_path)
    place_in(tmp_path, url, monkeypatch)
    return url


def content(url: str) -> dict[str, list[str]]:
    """Every row of every table of a database, Optuna's included."""
    with Store.open(url) as store, store.engine.connect() as connection:
        tables = MetaData()
        tables.reflect(connection)
        return {
            name: sorted(repr(tuple(row)) for row in connection.execute(select(table)))
            for name, table in tables.tables.items()
        }


@pytest.mark.parametrize("edit", REFUSED)
def test_what_would_change_the_meaning_of_scores_is_refused(
    edit: str, copy: str, tmp_path: Path
) -> None:
    make, diff = REFUSED[edit]
    before = content(copy)
    assert before["selector_trials"] and before["trials"]
    make(tmp_path)

    refused = invoke("run", "study.yaml", "-q")

    assert refused.exit_code == 3, refused.stderr
    assert diff in refused.stderr and "--fork NEWNAME" in refused.stderr
    assert content(copy) == before


@pytest.mark.parametrize("edit", ALLOWED)
def test_what_leaves_scores_as_they_are_passes(edit: str, copy: str, tmp_path: Path) -> None:
    make, said = ALLOWED[edit]
    before = content(copy)["selector_trials"]
    make(tmp_path)

    passed = invoke("run", "study.yaml")

    assert passed.exit_code == 0, passed.stderr
    assert said in passed.stderr
    after = content(copy)["selector_trials"]
    assert set(before) <= set(after), "an earlier trial was changed"


def test_other_packages_and_another_selector_are_named(
    copy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def later() -> dict[str, object]:
        made = now()
        return {"packages": {**made["packages"], "torch": "99.1"}, "code": "f" * 64}

    now = environment.made_by
    monkeypatch.setattr("selector.registration.made_by", later)

    passed = invoke("run", "study.yaml")

    assert passed.exit_code == 0, passed.stderr
    assert f"changed torch: '{now()['packages']['torch']}' -> '99.1'" in passed.stderr
    assert f"changed code of selector: {now()['code'][:12]} -> ffffffffffff" in passed.stderr


def test_a_run_from_before_code_was_recorded_is_not_compared(copy: str) -> None:
    with Store.open(copy) as store, store.engine.begin() as connection:
        connection.execute(text("UPDATE selector_runs SET environment = '{}'"))

    passed = invoke("run", "study.yaml")

    assert passed.exit_code == 0, passed.stderr
    assert "changed" not in passed.stderr
