"""Optuna's tables in our database."""

from __future__ import annotations

import optuna
import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from selector.errors import StoreSilentError, UnavailableError
from selector.search.storage import open_storage, reachable
from selector.store import Store


def test_optuna_and_our_tables_share_the_database(store: Store) -> None:
    study = optuna.create_study(storage=open_storage(store), study_name="shared")
    study.tell(study.ask(), 1.0)
    assert optuna.load_study(study_name="shared", storage=open_storage(store)).best_value == 1.0
    assert store.studies() == ()


def test_a_database_fault_is_not_the_fault_of_a_trial(store: Store) -> None:
    fault = optuna.exceptions.StorageInternalError("the server closed the connection")
    with pytest.raises(UnavailableError, match="closed the connection"), reachable(store):
        raise fault


def test_a_server_that_is_away_may_answer_again_whoever_reports_it(store: Store) -> None:
    away = OperationalError("SELECT 1", {}, psycopg.OperationalError("the server is starting up"))
    away.__cause__ = away.orig
    wrapped = optuna.exceptions.StorageInternalError("An exception is raised during the commit.")
    wrapped.__cause__ = away
    for fault in (away, wrapped):
        with pytest.raises(StoreSilentError, match="starting up"), reachable(store):
            raise fault


def test_a_full_disk_does_not_pass_by_itself(store: Store) -> None:
    full = OperationalError("INSERT", {}, psycopg.errors.DiskFull("no space left on device"))
    with pytest.raises(UnavailableError, match="no space") as caught, reachable(store):
        raise full
    assert not isinstance(caught.value, StoreSilentError)
