"""Data sets that several tests of the package look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from selector.records import Preprocessing

from .files import class_folders


@pytest.fixture
def flowers(tmp_path: Path) -> Path:
    """Three classes of ten, eight and six images, without split folders."""
    return class_folders(tmp_path / "flowers", {"daisy": 10, "rose": 8, "tulip": 6})


@pytest.fixture
def preprocessing() -> Preprocessing:
    return Preprocessing(16, "bilinear", (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
