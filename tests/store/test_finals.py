"""Finals and openings of test splits, as the store keeps them."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from typing import Any

import pytest
from sqlalchemy import func, select

from selector.errors import ConflictError, InputError
from selector.records import Heat, OpenedScore, OpeningStart
from selector.store import Store
from selector.store.engine import writing
from selector.store.migrate import alembic_config
from selector.store.tables import FinalsTable, HeatTable, OpenedScoreTable, OpeningTable

START = OpeningStart(
    study="flowers", trial=1, who="ada@here", why="paper", fingerprint="sha256:0123", samples=50
)
SCORE = OpenedScore(
    trial=1,
    role="pick",
    validation_score=0.95,
    test_score=0.9,
    ci_low=0.85,
    ci_high=0.94,
    metrics={"f1_macro": 0.9, "auroc": math.nan},
)


def with_finals(store: Store, results: Any) -> None:
    """Finals of `flowers` with one complete and one running heat."""
    store.create_finals("flowers", results.study("flowers.finals"), [60])
    run_id = store.runs("flowers")[0].id
    for number, heat in enumerate((Heat(1, 1), Heat(4, 1))):
        start = results.trial_start(number, origin="finals", seed=heat.seed, heat=heat)
        store.start_trial("flowers.finals", run_id, start)
    store.finish_trial("flowers.finals", results.complete(0))


def rows(store: Store, table: Any) -> int:
    with store.engine.connect() as connection:
        return int(connection.scalar(select(func.count()).select_from(table)) or 0)


def test_finals_are_found_by_their_study_and_are_none_of_their_own(
    filled: Store, results: Any
) -> None:
    assert filled.finals("flowers") is None
    with_finals(filled, results)

    stored = filled.finals("flowers")
    assert stored is not None
    assert (stored.name, stored.fold_sizes, stored.pick) == ("flowers.finals", (60,), None)
    assert [line.name for line in filled.studies()] == ["flowers"]
    runs = filled.final_runs("flowers.finals")
    assert [(run.heat, run.state) for run in runs] == [
        (Heat(1, 1), "complete"),
        (Heat(4, 1), "running"),
    ]


def test_a_heat_that_starts_over_is_the_same_heat(filled: Store, results: Any) -> None:
    with_finals(filled, results)
    start = results.trial_start(1, origin="finals", seed=1, heat=Heat(4, 1))
    filled.start_trial("flowers.finals", filled.runs("flowers")[0].id, start)
    assert [run.heat for run in filled.final_runs("flowers.finals")] == [Heat(1, 1), Heat(4, 1)]


def test_the_pick_is_kept_with_its_reason_and_may_change(filled: Store, results: Any) -> None:
    with_finals(filled, results)
    filled.decide_finals("flowers", pick=4, reason="best mean")
    filled.decide_finals("flowers", pick=1, reason="best mean of more")
    stored = filled.finals("flowers")
    assert stored is not None and (stored.pick, stored.reason) == (1, "best mean of more")
    assert stored.decided_at is not None and stored.decided_at.tzinfo == dt.UTC


def test_a_study_has_its_finals_once(filled: Store, results: Any) -> None:
    with_finals(filled, results)
    with pytest.raises(ConflictError, match="exists already"):
        filled.create_finals("flowers", results.study("flowers.finals"), [60])


def test_openings_come_back_in_order_with_what_they_told(filled: Store) -> None:
    first = filled.begin_opening(START)
    second = filled.begin_opening(dataclasses.replace(START, why="once more"))
    filled.record_test_scores(second, [dataclasses.replace(SCORE, role="reference"), SCORE])

    openings = filled.openings("flowers")
    assert [each.id for each in openings] == [first, second]
    assert [each.why for each in openings] == ["paper", "once more"]
    assert openings[0].scores == ()
    assert [score.role for score in openings[1].scores] == ["pick", "reference"]
    told = openings[1].scores[0]
    assert (told.test_score, told.metrics["f1_macro"]) == (0.9, 0.9)
    assert math.isnan(told.metrics["auroc"])
    with pytest.raises(InputError, match="Unknown study"):
        filled.openings("flours")


def test_finals_go_with_their_study_and_openings_stay(filled: Store, results: Any) -> None:
    with_finals(filled, results)
    filled.record_test_scores(filled.begin_opening(START), [SCORE])
    gone, kept = (FinalsTable, HeatTable), (OpeningTable, OpenedScoreTable)
    assert all(rows(filled, table) for table in gone + kept)
    counted = filled.count_rows("flowers")
    assert not {table.__tablename__ for table in kept} & counted.keys()

    filled.delete_study("flowers")

    assert not any(rows(filled, table) for table in gone)
    assert [rows(filled, table) for table in kept] == [1, 1]
    assert filled.study("flowers.finals") is None


@pytest.mark.parametrize("name", ["flowers", "trees"])
def test_a_deleted_study_has_looked_for_every_later_one_and_is_none_of_them(
    name: str, filled: Store, results: Any
) -> None:
    filled.record_test_scores(filled.begin_opening(START), [SCORE])
    (before,) = filled.openings("flowers")
    assert before.is_by("flowers") and not before.study_deleted
    filled.delete_study("flowers")
    results.fill(filled, name=name)

    assert filled.openings(name) == ()  # it has not looked itself
    assert filled.openings_of_data(name) == (dataclasses.replace(before, study_deleted=True),)
    assert not filled.openings_of_data(name)[0].is_by(name)
    filled.begin_opening(dataclasses.replace(START, study=name))
    assert [each.is_by(name) for each in filled.openings_of_data(name)] == [False, True]
    assert [each.study_deleted for each in filled.openings_of_data(name)] == [True, False]
    # Both at once, and again: whoever looked first is still known.
    filled.delete_study(name)
    results.fill(filled, name=name)
    assert [each.study_deleted for each in filled.openings_of_data(name)] == [True, True]


def test_an_earlier_schema_has_a_place_for_the_openings_of_studies_that_are_there(
    filled: Store, results: Any
) -> None:
    from alembic import command

    results.fill(filled, name="trees")
    for name in ("flowers", "trees"):
        start = dataclasses.replace(START, study=name)
        filled.record_test_scores(filled.begin_opening(start), [SCORE])
    kept, gone = filled.openings_of_data("flowers")
    filled.delete_study(gone.study)

    revisions = alembic_config()
    for step, revision in ((command.downgrade, "0012"), (command.upgrade, "head")):
        with writing(filled.engine).begin() as connection:
            revisions.attributes["connection"] = connection
            step(revisions, revision)

    assert filled.openings_of_data("flowers") == (kept,)
    filled.delete_study("flowers")
    assert rows(filled, OpenedScoreTable) == 1


def test_an_opening_is_that_of_every_study_with_the_same_images_in_the_same_splits(
    filled: Store, results: Any
) -> None:
    filled.record_test_scores(filled.begin_opening(START), [SCORE])
    row = results.study("trees")
    other_split = dataclasses.replace(row.data, validation_ids=row.data.validation_ids[::-1])
    other_shares = dataclasses.replace(
        row.data, class_counts={c: {"train": 50, "validation": 20} for c in row.data.class_names}
    )
    other_images = dataclasses.replace(row.data, fingerprint="sha256:4567")
    for name, data in {
        "trees": row.data,
        "split": other_split,
        "shares": other_shares,
        "images": other_images,
    }.items():
        filled.create_study(dataclasses.replace(row, name=name, data=data))

    found = {name: filled.openings_of_data(name) for name in ("trees", "split", "shares", "images")}
    assert [each.study for each in found.pop("trees")] == ["flowers"]
    assert found == {"split": (), "shares": (), "images": ()}
    filled.begin_opening(dataclasses.replace(START, study="trees", no_reference="it was pruned"))
    both = filled.openings_of_data("flowers")
    assert [each.study for each in both] == ["flowers", "trees"]
    assert both[1].no_reference == "it was pruned"
