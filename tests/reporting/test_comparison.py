"""What a comparison tells its reader, and how candidates are named."""

from __future__ import annotations

import csv
import io
import json

import pytest

from selector import reporting
from selector.errors import ConflictError, InputError
from selector.reporting import compare_stored, comparison_page
from selector.store import Store


@pytest.fixture
def text(stored: Store) -> str:
    return reporting.render(comparison_page(compare_stored(stored, "flowers", "flowers:4")))


def test_a_study_alone_means_its_best_candidate(stored: Store) -> None:
    found = compare_stored(stored, "flowers", "flowers:0")
    assert (found.a.trial, found.b.trial) == (1, 0)


def test_the_page_says_who_is_better_and_by_how_much(text: str) -> None:
    assert text.startswith("flowers:1 and flowers:4: f1_macro ↑ on 60 validation samples")
    assert "A is better by" in text
    assert "Disagreements:" in text
    assert "more disagreements: --format csv or json has all." in text


@pytest.mark.parametrize("width", [80, 120])
def test_the_tables_fit_the_terminal(stored: Store, width: int) -> None:
    page = comparison_page(compare_stored(stored, "flowers:0", "flowers:4"))
    lines = reporting.render(page, "table", width=width).splitlines()
    assert max(map(len, lines)) <= width


def test_json_and_csv_have_every_disagreement(stored: Store) -> None:
    found = compare_stored(stored, "flowers", "flowers:4")
    document = json.loads(reporting.render(comparison_page(found), "json"))
    assert list(document)[:5] == ["metric", "fingerprint", "samples", "resamples", "a"]
    assert document["a"] == {
        "study": "flowers",
        "trial": 1,
        "backbone": "toy:cnn",
        "score": found.a.score,
    }
    rows = list(csv.DictReader(io.StringIO(reporting.render(comparison_page(found), "csv"))))
    assert len(rows) == len(document["disagreements"]) == len(found.disagreements)
    assert rows[0]["sample"] == document["disagreements"][0]["sample"]
    assert {row["a_right"] for row in rows} <= {"true", "false"}


def test_candidates_that_do_not_tell_apart_are_called_so(stored: Store) -> None:
    found = compare_stored(stored, "flowers", "flowers:0")
    better = found.p_value < 0.05
    text = reporting.render(comparison_page(found), "md")
    assert ("is better by" in text) == better
    assert ("do not tell A and B apart" in text) == (not better)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("flowers", "flowers:1"), "same candidate"),
        (("flowers:x", "flowers"), "Write STUDY:TRIAL"),
        (("flowers:2", "flowers"), "no candidate 2. Candidates: 0, 1, 4"),
        (("flower", "flowers"), "Did you mean 'flowers'"),
    ],
)
def test_names_that_mean_nothing_are_explained(
    stored: Store, names: tuple[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        compare_stored(stored, *names)


def test_studies_on_different_data_are_a_conflict(stored: Store, results: object) -> None:
    from dataclasses import replace

    other = results.study("trees")  # type: ignore[attr-defined]
    stored.create_study(replace(other, data=replace(other.data, fingerprint="sha256:9")))
    run = stored.begin_run(results.run_start("trees"))  # type: ignore[attr-defined]
    stored.start_trial("trees", run, results.trial_start(0))  # type: ignore[attr-defined]
    stored.finish_trial("trees", results.complete(0))  # type: ignore[attr-defined]
    with pytest.raises(ConflictError, match="same data"):
        compare_stored(stored, "flowers", "trees")
