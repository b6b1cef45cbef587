from __future__ import annotations

from pathlib import Path

import pytest

from selector.data import readers
from selector.errors import DataError, UnknownNameError
from selector.spec.schema import DataSpec


def test_an_unknown_reader_is_refused_with_the_menu() -> None:
    with pytest.raises(UnknownNameError, match="Known: builtin, idx, imagefolder, table"):
        readers.load("tabel")


@pytest.mark.parametrize(
    ("path", "source", "word"), [(None, None, "neither"), ("a", "builtin:digits", "both")]
)
def test_exactly_one_of_path_and_source_is_needed(
    path: str | None, source: str | None, word: str
) -> None:
    spec = DataSpec.model_construct(path=path, source=source)
    with pytest.raises(DataError, match=f"{word} is given"):
        readers.choose(spec, base=Path())
