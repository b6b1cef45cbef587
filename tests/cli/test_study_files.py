"""`init`, `validate`, `schema`."""

from __future__ import annotations

import json
from pathlib import Path

from selector.spec import load_study, parse_study
from tests.cli.conftest import Command
from tests.cli.test_bad_input import _image, _tree


def test_init_writes_a_study_that_validates(selector: Command, place: Path) -> None:
    _tree(place / "My Flowers")

    result = selector("init", "My Flowers", "--output", "flowers.yaml")

    assert result.exit_code == 0, result.stderr
    spec = load_study(place / "flowers.yaml")
    assert spec.name == "my-flowers"
    assert spec.data.path == "My Flowers"
    checked = selector("validate", "flowers.yaml", "--set", "search.backbone=toy:cnn")
    assert checked.exit_code == 0, checked.stderr


def test_init_never_overwrites_without_force(selector: Command, place: Path) -> None:
    _tree(place / "images")
    before = (place / "study.yaml").read_text()

    refused = selector("init", "images")

    assert refused.exit_code == 3
    assert "--force" in refused.stderr
    assert (place / "study.yaml").read_text() == before
    assert selector("init", "images", "--force").exit_code == 0
    assert load_study(place / "study.yaml").name == "images"


def test_init_without_images_says_so(selector: Command, place: Path) -> None:
    result = selector("init", "nowhere", "--output", "new.yaml")

    assert result.exit_code == 2
    assert "nowhere" in result.stderr
    assert not (place / "new.yaml").exists()


def test_validate_prints_a_study_that_reads_back_the_same(selector: Command, place: Path) -> None:
    result = selector("validate", "study.yaml", "--set", "search.lr=1e-3")

    assert result.exit_code == 0, result.stderr
    spec = load_study(place / "study.yaml", overrides=["search.lr=1e-3"])
    assert parse_study(result.stdout) == spec


def test_validate_prints_json(selector: Command) -> None:
    plain = json.loads(selector("validate", "study.yaml", "--format", "json").stdout)

    assert plain["study"]["name"] == "tiny"
    assert plain["study"]["budget"]["trials"] == 3
    assert sum(plain["data"]["counts"].values()) == 200
    assert plain["data"]["audit"]["equality_only"] == 200


def test_schema_knows_samplers_pruners_and_metrics(selector: Command) -> None:
    text = selector("schema").stdout

    json.loads(text)
    for name in ("tpe", "cmaes", "hyperband", "successive_halving", "f1_macro", "log_loss"):
        assert f'"{name}"' in text


def test_init_is_not_kept_by_pictures_that_are_in_two_splits(
    selector: Command, place: Path
) -> None:
    for number, part in enumerate(("train", "val", "test")):
        _tree(place / "own" / part)  # the same pictures in each, and a few of its own
        for label in "ab":
            _image(place / "own" / part / label / "own.png", seed=number + 10 * ord(label))

    result = selector("init", "own", "--output", "own.yaml")
    checked = selector("validate", "own.yaml", "--set", "search.backbone=toy:cnn")

    assert result.exit_code == 0, result.stderr
    assert checked.exit_code == 2
    assert "are the same picture in several splits" in checked.stderr


def test_init_names_images_that_cannot_be_decoded_and_the_key_that_leaves_them_out(
    selector: Command, place: Path
) -> None:
    _tree(place / "own")
    broken = place / "own" / "a" / "broken.png"
    _image(broken, seed=99)
    broken.write_bytes(broken.read_bytes()[:60])

    result = selector("init", "own", "--output", "own.yaml")
    refused = selector("validate", "own.yaml", "--set", "search.backbone=toy:cnn")
    written = place / "own.yaml"
    written.write_text(written.read_text().replace("# on_bad_image", "on_bad_image"))
    checked = selector("validate", "own.yaml", "--set", "search.backbone=toy:cnn")

    assert result.exit_code == 0, result.stderr
    assert "a/broken.png: the image cannot be decoded" in result.stderr
    assert "on_bad_image in own.yaml" in result.stderr
    assert refused.exit_code == 2
    assert checked.exit_code == 0, checked.stderr
