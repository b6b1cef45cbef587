"""Optuna's tables in our database."""

from __future__ import annotations

import optuna
import pytest

from selector.errors import UnavailableError
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
