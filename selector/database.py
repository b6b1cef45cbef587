"""The store as a database: which schema it has, a copy of it, and the upgrade to this program's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from selector.errors import ConflictError, UnavailableError
from selector.records import SchemaState, SchemaStatus, StoreUpgrade
from selector.search import storage
from selector.store import Store, migrate, safe_url
from selector.store import backup as copies
from selector.store.engine import connect, parse_url, reaching, sqlite_file


def status(url: str) -> tuple[SchemaStatus, SchemaStatus]:
    """The schemas of our tables and of Optuna's in the store at `url`; nothing is changed.

    Raises UnavailableError where there is no store or it cannot be reached.
    """
    with _as_it_is(url) as store:
        return _status(store)


def backup(url: str, *, folder: Path | None = None) -> Path:
    """Copy the store at `url`, of whichever schema, and give the copy's path."""
    with _as_it_is(url) as store:
        ours, _ = _status(store)
        return copies.backup(store.engine, label=ours.here or "empty", folder=folder)


def upgrade(
    url: str, *, with_backup: bool = True, folder: Path | None = None, force: bool = False
) -> StoreUpgrade:
    """Bring the store at `url` to the schemas that this program and its Optuna need.

    In a database of a server that has no tables yet they are made, so that whoever may only read
    finds them.
    Each of the two is changed completely or not at all, and the same call goes on where one that
    was stopped ended. Raises ConflictError where a newer program made one of them, or where a
    worker holds a trial (unless `force`), UnavailableError where no backup can be made.
    """
    with _as_it_is(url) as store:
        before = ours, optuna = _status(store)
        if ours.state == "newer":
            raise migrate.other_schema(store.engine, str(ours.here))
        if optuna.state == "newer":
            storage.upgrade_tables(store)  # says so
        if not any(each.state == "older" for each in before):
            _make_missing(store, before)
            return StoreUpgrade(before=before, after=_status(store), backup=None)
        if not force:
            _refuse_while_in_use(store)
        copy = None
        if with_backup:
            copy = copies.backup(store.engine, label=ours.here or "empty", folder=folder)
        if ours.state == "older":
            migrate.upgrade(store.engine)
        storage.upgrade_tables(store)
        _make_missing(store, before)
        return StoreUpgrade(before=before, after=_status(store), backup=copy)


@contextmanager
def _as_it_is(url: str) -> Iterator[Store]:
    """The store of whichever schema; a store that is not there is not made."""
    parsed = parse_url(url)
    file = sqlite_file(parsed)
    if file is not None and not file.exists():
        raise UnavailableError(
            f"There is no store at {safe_url(url)}. Name it with --store or SELECTOR_STORE."
        )
    engine = connect(parsed)
    try:
        with reaching(parsed):
            yield Store(engine)
    finally:
        engine.dispose()


def _status(store: Store) -> tuple[SchemaStatus, SchemaStatus]:
    with store.engine.connect() as connection:
        revision = migrate.current_revision(connection)
    newer = revision is not None and migrate.is_newer(revision)
    found = storage.tables_version(store)
    return (
        SchemaStatus(
            tables="selector",
            here=revision,
            needed=migrate.HEAD,
            state=_state(revision, migrate.HEAD, newer=newer),
        ),
        SchemaStatus(
            tables="optuna",
            here=found.current,
            needed=found.newest,
            state=_state(found.current, found.newest, newer=found.newer),
        ),
    )


def _state(here: str | None, needed: str, *, newer: bool) -> SchemaState:
    if here is None:
        return "absent"
    if here == needed:
        return "current"
    return "newer" if newer else "older"


def _make_missing(store: Store, found: Iterable[SchemaStatus]) -> None:
    """Make the tables that were never made."""
    absent = {each.tables for each in found if each.state == "absent"}
    if "selector" in absent:
        migrate.upgrade(store.engine)
    if "optuna" in absent:
        with storage.opened_storage(store):
            pass  # to open it makes them


def _refuse_while_in_use(store: Store) -> None:
    held = store.live_leases()
    if held:
        trials = "a trial" if held == 1 else f"{held} trials"
        raise ConflictError(
            f"Workers hold {trials} of store '{safe_url(store.url)}', and the upgrade would pull "
            "the tables away under them. Stop them first (they hand their trials back), or add "
            "--force where they are gone."
        )
