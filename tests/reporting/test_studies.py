"""What `list` tells."""

from __future__ import annotations

from typing import Any

from selector import reporting
from selector.store import Store


def test_studies_show_their_best(stored: Store, results: Any) -> None:
    stored.create_study(results.study("other"))
    lines = reporting.render(reporting.studies_page(stored.studies()), width=140).splitlines()
    flowers = next(line for line in lines if line.startswith("flowers"))
    assert "toy:cnn" in flowers
    assert "running" in flowers
    assert any(line.startswith("other") for line in lines)


def test_no_study_says_how_to_start() -> None:
    assert "selector run" in reporting.render(reporting.studies_page(()))
