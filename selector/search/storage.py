"""Optuna's study in the same database as our tables: opened, created, never written by SQL."""

from __future__ import annotations

import copy
import datetime as dt
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import RDBStorage
from optuna.storages._cached_storage import _CachedStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import inspect
from sqlalchemy.exc import SQLAlchemyError

from selector.errors import ConflictError, StoreSilentError, UnavailableError
from selector.records import Goal
from selector.store import Store, safe_url, study_lock
from selector.store.engine import may_pass, server_options, sqlite_file
from selector.store.passwords import without_password

# A trial that finds SQLite locked keeps its report and trains on; whoever must write tries again.
BUSY_SECONDS = 5
_OPTUNA_VERSION_TABLE = "alembic_version"
_DRAFT = -1  # the key of a trial that is not stored yet

# Optuna announces every trial on stderr; our own progress lines say the same.
optuna.logging.set_verbosity(optuna.logging.WARNING)
logging.getLogger("optuna").propagate = False
# A conditional space needs TPE's `group`, which is marked experimental; said once in the docs.
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


Result = TypeVar("Result")


class RideOut(Protocol):
    """Calls an action, which may be called again from its beginning, until the store answers."""

    def __call__(self, action: Callable[[], Result], /) -> Result:
        """What the action gives."""
        ...


def at_once(action: Callable[[], Result], /) -> Result:
    """What the action gives, at the first call: a store that is silent is an error."""
    return action()


class HeldStorage(_CachedStorage):
    """Optuna's storage, which knows that nobody else begins a trial while the study's lock is held.

    It reads the trials of the study once, though Optuna asks again for each step of proposing one.
    And a new trial is a draft in memory until `write`: in the database it appears with all its
    parameters, in one transaction instead of one for each of them.
    """

    def __init__(self, backend: RDBStorage) -> None:
        super().__init__(backend)
        self._held = False
        self._known: set[int] = set()
        self._draft: FrozenTrial | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within, the caller has the lock of the study whose trials it asks for."""
        self._held = True
        self._known.clear()
        try:
            yield
        finally:
            self._held, self._draft = False, None

    def write(self, trial: optuna.Trial) -> bool:
        """Store a drafted trial; False for one that is stored already."""
        if (draft := self._drafted(trial._trial_id)) is None:
            return False
        self._known.clear()
        trial._trial_id = super().create_new_trial(trial.study._study_id, draft)
        trial._cached_frozen_trial._trial_id = trial._trial_id
        self._draft = None
        return True

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        if not self._held or template_trial is not None:
            self._known.clear()
            return super().create_new_trial(study_id, template_trial)
        self._draft = FrozenTrial(
            number=len(self.get_all_trials(study_id, deepcopy=False)),
            state=TrialState.RUNNING,
            value=None,
            datetime_start=dt.datetime.now(),
            datetime_complete=None,
            params={},
            distributions={},
            user_attrs={},
            system_attrs={},
            intermediate_values={},
            trial_id=_DRAFT,
        )
        return _DRAFT

    def get_trial(self, trial_id: int) -> FrozenTrial:
        draft = self._drafted(trial_id)
        return super().get_trial(trial_id) if draft is None else copy.deepcopy(draft)

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        if (draft := self._drafted(trial_id)) is None:
            super().set_trial_param(trial_id, param_name, param_value_internal, distribution)
            return
        draft.distributions[param_name] = distribution
        draft.params[param_name] = distribution.to_external_repr(param_value_internal)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        if (draft := self._drafted(trial_id)) is None:
            super().set_trial_user_attr(trial_id, key, value)
        else:
            draft.user_attrs[key] = value

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        if (draft := self._drafted(trial_id)) is None:
            super().set_trial_system_attr(trial_id, key, value)
        else:
            draft.system_attrs[key] = value

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        self._known.clear()
        if self._drafted(trial_id) is not None:  # given up before anybody else knew of it
            self._draft = None
            return True
        return super().set_trial_state_values(trial_id, state, values)

    def _read_trials_from_remote_storage(self, study_id: int) -> None:
        if self._held and study_id in self._known:
            return
        super()._read_trials_from_remote_storage(study_id)
        self._known.add(study_id)

    def _drafted(self, trial_id: int) -> FrozenTrial | None:
        return self._draft if trial_id == _DRAFT else None


@contextmanager
def held_reads(study: optuna.Study) -> Iterator[None]:
    """Within, under the lock of the study, its trials are read once; see HeldStorage."""
    if not isinstance(study._storage, HeldStorage):
        yield
        return
    with study._storage.held():
        yield


def write_draft(trial: optuna.Trial) -> bool:
    """Store a trial that was asked for within `held_reads`; False where it was stored before."""
    storage = trial.study._storage
    return isinstance(storage, HeldStorage) and storage.write(trial)


@contextmanager
def reachable(store: Store) -> Iterator[None]:
    """A database that fails under Optuna is UnavailableError: not the fault of a trial.

    It is StoreSilentError where it may answer again by itself.
    """
    try:
        yield
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
        # Optuna wraps the database's error, SQLAlchemy's own has the driver's beneath.
        database_error = error if isinstance(error, SQLAlchemyError) else error.__cause__
        first_line = str(error.__cause__ or error).partition("\n")[0]
        cause = without_password(first_line, store.engine.url)
        message = (
            f"The store {safe_url(store.url)} failed: {cause}. The trial is kept; when the store "
            "answers again, the same command continues."
        )
        if may_pass(database_error):
            raise StoreSilentError(message, reason=cause) from error
        raise UnavailableError(message) from error


def open_storage(store: Store) -> RDBStorage:
    """Optuna's storage on the store's database; its tables are created when missing."""
    url = store.engine.url
    arguments = server_options(url)
    if sqlite_file(url) is not None:
        arguments = {"pool_pre_ping": True, "connect_args": {"timeout": BUSY_SECONDS}}
    # Several processes may open an empty database at once; Optuna's own set-up does not lock.
    with reachable(store), study_lock(store, "optuna-tables"):
        try:
            return RDBStorage(store.url, engine_kwargs=arguments)
        except RuntimeError as error:  # so Optuna says that its tables are another version's
            found = tables_version(store)
            if found.current in (None, found.newest):
                raise
            raise _other_tables(store, found) from error


@dataclass(frozen=True, slots=True)
class TablesVersion:
    """Which revision Optuna's own tables have; None where it never made them.

    `known` has the revisions that this Optuna can upgrade from, the newest first.
    """

    current: str | None
    known: tuple[str, ...]

    @property
    def newest(self) -> str:
        """What this Optuna needs."""
        return self.known[0]

    @property
    def newer(self) -> bool:
        """Whether a later Optuna made them."""
        return self.current is not None and self.current not in self.known


def tables_version(store: Store) -> TablesVersion:
    """The revision of Optuna's tables in the store's database, which is not changed."""
    with reachable(store), _any_version(store) as storage:
        known = tuple(storage.get_all_versions())
        with store.engine.connect() as connection:
            made = inspect(connection).has_table(_OPTUNA_VERSION_TABLE)
        return TablesVersion(storage.get_current_version() if made else None, known)


def upgrade_tables(store: Store) -> None:
    """Bring Optuna's tables to what this Optuna needs; where it never made them, they stay out.

    Raises ConflictError where a later Optuna made them.
    """
    found = tables_version(store)
    if found.newer:
        raise _other_tables(store, found)
    if found.current in (None, found.newest):
        return
    with reachable(store), study_lock(store, "optuna-tables"), _any_version(store) as storage:
        # Where nobody has set logging up, Optuna's migration would: for the whole process.
        quiet = logging.NullHandler()
        logging.getLogger().addHandler(quiet)
        try:
            storage.upgrade()
        finally:
            logging.getLogger().removeHandler(quiet)


@contextmanager
def _any_version(store: Store) -> Iterator[RDBStorage]:
    """Optuna's storage, whatever its tables are; it makes none."""
    with store.engine.connect() as connection:
        made = inspect(connection).has_table(_OPTUNA_VERSION_TABLE)
    # Without its tables Optuna could not even be asked what it knows.
    url = store.url if made else "sqlite://"
    storage = RDBStorage(url, skip_compatibility_check=True, skip_table_creation=made)
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _other_tables(store: Store, found: TablesVersion) -> ConflictError:
    where = f"Optuna's tables in store '{safe_url(store.url)}' have schema '{found.current}'"
    if found.newer:
        return ConflictError(
            f"{where}, made by a newer Optuna; version {optuna.__version__} knows up to "
            f"'{found.newest}'. Upgrade: pip install -U selector-finetune optuna."
        )
    return ConflictError(
        f"{where}; Optuna {optuna.__version__} needs '{found.newest}'. Nothing was changed. "
        "When no run uses the store any more: selector db upgrade (it makes a backup first)."
    )


@contextmanager
def opened_storage(store: Store, *, ride_out: RideOut = at_once) -> Iterator[RDBStorage]:
    """Optuna's storage, and its connections given back at the end."""
    storage = ride_out(lambda: open_storage(store))
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def open_study(
    storage: RDBStorage,
    store: Store,
    name: str,
    *,
    goal: Goal,
    pruner: optuna.pruners.BasePruner,
) -> optuna.Study:
    """The Optuna study `name`, created when missing. `goal` is checked by the caller."""
    with reachable(store):
        with study_lock(store, name):
            study = optuna.create_study(
                study_name=name,
                storage=HeldStorage(storage),
                direction=goal,
                pruner=pruner,
                load_if_exists=True,
            )
        # The first look takes the longest, and at the first claim everybody would wait for it.
        study.get_trials(deepcopy=False)
        return study
