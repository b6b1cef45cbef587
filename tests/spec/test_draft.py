from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selector.spec import draft_study, parse_study
from selector.spec.domains import Choice, Fixed
from selector.spec.draft import image_size_for, study_name

COUNTS = {"daisy": 300, "rose": 400}


def draft(**changes: object) -> str:
    given: dict[str, object] = {"class_names": tuple(COUNTS), "counts": COUNTS, "image_side": 180}
    return draft_study("flowers", "data/flowers", **(given | changes))  # type: ignore[arg-type]


def test_a_draft_is_a_study_file_that_fits_the_images() -> None:
    text = draft(backbones=["toy:cnn"])
    spec = parse_study(text)
    assert (spec.name, spec.data.path) == ("flowers", "data/flowers")
    assert spec.search.backbone == Fixed("toy:cnn")
    assert spec.search.image_size == Fixed(192)
    assert "# 2 classes, 700 images: daisy 300, rose 400" in text
    assert spec.training.class_weights == "none"


def test_few_images_get_small_batches_and_more_epochs() -> None:
    few = parse_study(draft(counts={"daisy": 40, "rose": 40}))
    many = parse_study(draft(counts={"daisy": 40_000, "rose": 40_000}))
    assert few.search.batch_size == Choice((8, 16, 32))
    assert many.search.batch_size == Choice((32, 64, 128))
    assert few.budget.epochs > many.budget.epochs


def test_imbalanced_classes_are_weighted() -> None:
    spec = parse_study(draft(counts={"daisy": 1000, "rose": 100}))
    assert spec.training.class_weights == "balanced"


def test_many_classes_are_not_all_listed() -> None:
    names = [f"class{n}" for n in range(40)]
    first = draft(class_names=names, counts=dict.fromkeys(names, 5)).splitlines()[0]
    assert first.endswith("class11 5 and 28 more")


@pytest.mark.parametrize(("side", "size"), [(8, 32), (32, 32), (65, 96), (224, 224), (4000, 224)])
def test_the_image_size_keeps_the_detail_without_waste(side: int, size: int) -> None:
    assert image_size_for(side) == size


@pytest.mark.parametrize(
    ("text", "name"),
    [("My Flowers!", "my-flowers"), ("..", "study"), ("a_b.c", "a_b.c"), ("é" * 300, "study")],
)
def test_any_text_becomes_a_legal_study_name(text: str, name: str) -> None:
    assert study_name(text) == name


@settings(derandomize=True, max_examples=100, deadline=None)
@given(
    st.text(max_size=30),
    st.text(min_size=1, max_size=30),
    st.dictionaries(st.text(max_size=10), st.integers(0, 10**6), max_size=15),
    st.integers(1, 10**5),
)
def test_a_draft_is_legal_whatever_the_folders_are_called(
    name: str, path: str, counts: dict[str, int], side: int
) -> None:
    text = draft_study(name, path, class_names=tuple(counts), counts=counts, image_side=side)
    assert parse_study(text).data.path == path
