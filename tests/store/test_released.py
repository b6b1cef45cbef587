"""A store of every schema that was ever released is refused untouched, and upgraded whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from selector import database
from selector.errors import ConflictError
from selector.store import Store
from selector.store.engine import connect, parse_url
from selector.store.migrate import HEAD, VERSION_TABLE, alembic_config, current_revision
from tests.conftest import Results
from tests.store import released


def revisions() -> list[str]:
    """Every released schema, the oldest first."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(alembic_config()).walk_revisions()
    return sorted(script.revision for script in scripts)


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    engine = connect(parse_url(store_url))
    yield engine
    engine.dispose()


@pytest.mark.parametrize("revision", revisions())
def test_a_store_of_a_released_schema_is_upgraded_with_all_its_rows(
    revision: str, store_url: str, engine: Engine, results: Results
) -> None:
    released.make(engine, revision, results)
    before = released.content(engine)
    assert len(before["selector_trials"]) == 4

    done = database.upgrade(store_url, with_backup=False)

    assert [each.state for each in done.after] == ["current", "current"]
    after = released.content(engine)
    for table, rows in before.items():
        kept = [{name: row[name] for name in rows[0]} for row in after[table]]
        assert kept == rows, table
    _reads_as_it_was_written(store_url, revision)


def _reads_as_it_was_written(store_url: str, revision: str) -> None:
    """All through the program's own way in, which knows the newest schema only."""
    with Store.open(store_url) as store:
        study = store.require_study("flowers")
        assert (study.version, study.data.validation_ids[0]) == (
            (2 if revision >= "0003" else 1),
            "ant/0.png",
        )
        states = [row.state for row in store.trials("flowers")]
        assert states == ["complete", "failed", "waiting"]
        first = store.trials("flowers")[0]
        assert (first.score, first.seed, first.parameters) == (0.75, 2**40, 2**33)
        assert first.metrics == {"f1_macro": 0.75}
        assert first.checkpoint == "flowers/1.safetensors"
        assert store.epochs("flowers")[0][1].train_loss == 1.5
        assert store.log_probabilities("flowers", 0).shape == (60, 3)
        assert store.runs("flowers")[0].started_at == released.WHEN
        assert len(store.proxies("flowers")) == (revision >= "0002")
        assert len(store.costs("flowers")) == (revision >= "0005")
        assert (store.finals("flowers") is not None) == (revision >= "0004")
        openings = store.openings("flowers")
        assert [each.study for each in openings] == ["flowers"] * (revision >= "0004")
        assert [score.test_score for each in openings for score in each.scores] == [0.7] * len(
            openings
        )
        # What an upgrade says of the splits is what the program says.
        assert store.openings_of_data("flowers") == store.openings_of_data("flowers.finals")
        assert store.openings_of_data("flowers") == openings
        assert store.live_leases() == 0


def test_openings_of_an_earlier_schema_outlive_their_study_after_the_upgrade(
    store_url: str, engine: Engine, results: Results
) -> None:
    released.make(engine, "0012", results)
    database.upgrade(store_url, with_backup=False)
    with Store.open(store_url) as store:
        before = store.openings("flowers")
        store.delete_study("flowers")
        store.create_study(results.study("trees"))
        (kept,) = store.openings_of_data("trees")
    assert (kept,) == tuple(dataclasses.replace(each, study_deleted=True) for each in before)
    assert [score.test_score for score in kept.scores] == [0.7]


@pytest.mark.parametrize("revision", [each for each in revisions() if each != HEAD])
def test_an_older_store_is_refused_and_left_as_it_is(
    revision: str, store_url: str, engine: Engine, results: Results
) -> None:
    released.make(engine, revision, results)
    before = released.content(engine)
    with pytest.raises(ConflictError, match=r"made by an earlier selector.*selector db upgrade"):
        Store.open(store_url)
    assert released.content(engine) == before
    with engine.connect() as connection:
        assert current_revision(connection) == revision


def test_a_newer_store_is_refused_by_the_upgrade_too(store_url: str, engine: Engine) -> None:
    Store.open(store_url).close()
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(ConflictError, match=r"made by a newer selector.*pip install -U"):
        database.upgrade(store_url)
    assert database.status(store_url)[0].state == "newer"


def test_an_upgrade_that_fails_leaves_the_store_as_it_was(
    store_url: str, engine: Engine, results: Results
) -> None:
    released.make(engine, "0003", results)
    with engine.begin() as connection:  # in the way of a later migration
        connection.execute(text("CREATE TABLE selector_costs (other INTEGER)"))
    before = released.content(engine)
    with pytest.raises(Exception, match="selector_costs"):
        database.upgrade(store_url, with_backup=False)
    assert released.content(engine) == before
    with engine.begin() as connection:
        assert current_revision(connection) == "0003"
        connection.execute(text("DROP TABLE selector_costs"))
    assert database.upgrade(store_url, with_backup=False).after[0].state == "current"
