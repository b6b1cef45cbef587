"""A small study file, and what is wrong with a text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from selector.errors import StudyFileError
from selector.spec import parse_study

MINIMAL = """\
name: flowers
data: {path: data/flowers}
metric: {name: f1_macro, goal: maximize}
search:
  backbone: [toy:cnn, timm:resnet18]
"""

Problems = Callable[..., tuple[str, ...]]


@pytest.fixture
def minimal() -> str:
    return MINIMAL


@pytest.fixture
def problems() -> Problems:
    """The problems that a text has, as `parse_study` reports them."""

    def of(text: str, *, overrides: Sequence[str] = ()) -> tuple[str, ...]:
        with pytest.raises(StudyFileError) as caught:
            parse_study(text, overrides=overrides)
        return caught.value.problems

    return of
