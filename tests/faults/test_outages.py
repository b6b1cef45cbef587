"""The database is away when `selector run` starts, or goes away under it: waited for, said once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from selector.store.engine import parse_url
from tests.faults.conftest import surroundings
from tests.faults.program import Program, epochs_run, wait_until
from tests.faults.records import assert_ended_once, assert_nothing_is_open
from tests.search.test_outages import Database, Server, database  # noqa: F401

RUN = ("run", "study.yaml", "--set", "budget.trials=3", "--set", "budget.epochs=4")
SILENT, ANSWERS = "store   does not answer; ", "store   answers again after "
WAITS = SILENT + "this waits for it ("


def lines(program: Program, beginning: str) -> list[str]:
    return [line for line in program.printed.splitlines() if line.startswith(beginning)]


def start(folder: Path, url: str, cache: Path) -> Program:
    return Program(*RUN, folder=folder, surroundings=surroundings(url, cache))


def assert_all_trained_once(folder: Path, url: str) -> None:
    assert_ended_once(url, "faults", trials=3, epochs=4)
    assert_nothing_is_open(url, "faults")
    assert set(epochs_run(folder).values()) == {1}, "an epoch ran twice"


def test_a_run_that_starts_in_an_outage_waits_for_its_end(
    database: Database,  # noqa: F811
    folder: Path,
    cache: Path,
) -> None:
    """On an empty database: it is opened, made and registered in as soon as that can be done."""
    with database.silent():
        program = start(folder, database.url, cache)
        wait_until(lambda: lines(program, SILENT) != [], program)
        assert program.lives
    assert program.wait() == 0, program.printed
    (silent,), (answers,) = lines(program, SILENT), lines(program, ANSWERS)
    assert silent.startswith(WAITS) and silent.endswith(")"), silent
    assert answers.endswith("s"), answers
    assert_all_trained_once(folder, database.url)


def test_a_run_lives_through_an_outage_and_another_joins_in_the_middle(
    database: Database,  # noqa: F811
    folder: Path,
    cache: Path,
) -> None:
    one = start(folder, database.url, cache)
    wait_until(lambda: epochs_run(folder).total() >= 2, one)
    with database.silent():
        wait_until(lambda: lines(one, SILENT) != [], one)
        other = start(folder, database.url, cache)
        wait_until(lambda: lines(other, SILENT) != [], one, other)
    codes = [program.wait() for program in (one, other)]
    assert codes == [0, 0], one.printed + other.printed
    for program in (one, other):
        assert [len(lines(program, said)) for said in (SILENT, ANSWERS)] == [1, 1], program.printed
    assert lines(other, WAITS)
    assert_all_trained_once(folder, database.url)


@pytest.mark.parametrize("wrong", ["password", "database", "role"])
def test_a_url_that_is_wrong_is_refused_without_waiting(
    wrong: str,
    folder: Path,
    cache: Path,
    server: Server,
) -> None:
    url = parse_url(server.url)
    match wrong:
        case "password":
            ask_for_a_password(server, "guarded", "s3cret")
            url = url.set(username="guarded", password="gu3ssed")
        case "database":
            url = url.set(database="nowhere")
        case _:
            url = url.set(username="nobody_here")
    program = start(folder, url.render_as_string(hide_password=False), cache)
    assert program.wait() == 4, program.printed
    assert not lines(program, SILENT) and "gu3ssed" not in program.printed
    why = "password authentication failed" if wrong == "password" else "does not exist"
    assert why in program.printed, program.printed


@pytest.fixture
def server() -> Iterator[Server]:
    """A PostgreSQL server of this test."""
    server = Server()
    try:
        yield server
    finally:
        server.remove()


def ask_for_a_password(server: Server, role: str, password: str) -> None:
    rules = server.folder / "pg_hba.conf"
    rules.write_text(f"local all {role} scram-sha-256\n" + rules.read_text())
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'")
        connection.execute("SELECT pg_reload_conf()")
