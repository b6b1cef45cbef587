"""URLs, connections, and clear lines where there is no database."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from selector.errors import InputError, UnavailableError
from selector.store import Store, safe_url
from selector.store.engine import parse_url, sqlite_file


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_means_psycopg(scheme: str) -> None:
    assert parse_url(f"{scheme}://me@db/x").drivername == "postgresql+psycopg"


def test_a_relative_file_is_fixed_to_where_the_program_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert sqlite_file(parse_url("sqlite:///a/b.db")) == tmp_path / "a" / "b.db"


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=ro&uri=true"],
)
def test_sqlite_that_processes_cannot_share_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="plain file"):
        parse_url(url)


@pytest.mark.parametrize("url", ["mysql://me:s3cret@db/x", "selector.db", "", "s3cret@db:x/y"])
def test_what_is_no_store_url_is_refused_with_the_legal_ones(url: str) -> None:
    with pytest.raises(InputError, match="sqlite:///FILE") as caught:
        parse_url(url)
    assert "me:s3cret" not in str(caught.value)


def test_a_url_is_shown_without_its_password() -> None:
    assert safe_url("postgresql://me:s3cret@db/x") == "postgresql://me:***@db/x"
    assert "s3cret" not in safe_url("post gres://me:s3cret@db/x")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"folder '.*nowhere' does not exist"):
        Store.open(f"sqlite:///{tmp_path / 'nowhere' / 'x.db'}")


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("these are my notes, and there are quite a few of them\n" * 50)
    before = file.read_bytes()
    with pytest.raises(UnavailableError, match="not a database"):
        Store.open(f"sqlite:///{file}")
    assert file.read_bytes() == before


def test_a_database_that_cannot_grow_says_so_in_one_line(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path / 'x.db'}") as store:
        url = store.url
    (tmp_path / "x.db").unlink()
    (tmp_path / "x.db").mkdir()
    with pytest.raises(UnavailableError, match=r"unable to open.* Check that"):
        Store.open(url)


def test_a_server_out_of_reach_is_one_line_without_password() -> None:
    with pytest.raises(UnavailableError) as caught:
        Store.open("postgresql://me:s3cret@127.0.0.1:1/x")
    message = str(caught.value)
    assert "s3cret" not in message
    assert "\n" not in message
    assert caught.value.exit_code == 4
    assert caught.value.__suppress_context__


def test_sqlite_is_set_for_several_processes_and_power_loss(tmp_path: Path) -> None:
    names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    with (
        Store.open(f"sqlite:///{tmp_path / 'x.db'}") as store,
        store.engine.connect() as connection,
    ):
        found = {name: connection.scalar(text(f"PRAGMA {name}")) for name in names}
    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 60_000,
    }


def test_postgresql_sessions_agree_on_utc(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGTZ", "Asia/Tokyo")
    with Store.open(postgres_url) as store, store.engine.connect() as connection:
        assert connection.scalar(text("SHOW TIME ZONE")) == "UTC"
        connection.rollback()
        assert connection.scalar(text("SHOW TIME ZONE")) == "UTC"


def test_a_server_that_went_away_is_unavailable_and_comes_back(
    postgres_url: str,
) -> None:
    with Store.open(postgres_url) as store:
        with store.engine.connect() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        assert store.studies() == ()
