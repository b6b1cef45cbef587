"""The database's password stays in the URL: nothing prints it, stores it or passes it in argv."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import MetaData, create_engine, select
from sqlalchemy.engine import URL, make_url

from selector.errors import InputError, UnavailableError
from selector.settings import load_settings
from selector.store import Store, safe_url
from selector.store.engine import parse_url
from selector.store.passwords import without_password
from tests.cli.conftest import STUDY
from tests.conftest import Results

SECRET = "xK7-Zebra_Quartz"
SPELLINGS = (
    "postgresql://u:{}@h/db",
    "postgresql://h/db?user=u&password={}",
    "postgresql://h/db?sslpassword={}",
    "postgresql://u:{}@h/db?password={}",
    "postgresql:/u:{}@h/db",
    "postgresql//u:{}@h/db",
    "postgresql://u:{}/x@h/db",
    "postgresql://u:a@{}@h/db",
    "postgresql://u:{}@x@h/db",
    "postgresql://u:{}@h:port/db",
    "postgresql://u:{}@[::1/db",
    "postgresql://u:{}?x@h/db",
    "postgresql://u:{}#x@h/db",
    "mysql://u:{}@h/db",
    "u:{}@h/db",
    "host=h password={}",
    "host=h password='{}'",
    "host=h password = {}",
)
# Reports, and then a mistake of the program in the middle of a run, that quotes the address.
REPORTS_AND_CRASH = """\
from selector.cli import main

for words in (["report", "tiny", "--format", "html", "-o", "report.html"],
              ["show", "tiny", "--format", "json"], ["doctor"]):
    try:
        main(words)
    except SystemExit:
        pass

import sys
import selector.run

def rank(store, name, **_named):
    raise RuntimeError(f"cannot rank {name} in {store!r} of {store.engine!r} {store.engine.url!r}")

sys.modules["selector.run"].rank = rank
main(["run", "study.yaml"])
"""


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_spelling_of_a_url_shows_its_password(spelling: str) -> None:
    url = spelling.format(SECRET, SECRET)

    assert SECRET not in safe_url(url)
    try:
        assert SECRET not in safe_url(parse_url(url))
    except InputError as error:
        assert SECRET not in str(error)


@given(password=st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1))
def test_any_password_written_properly_is_hidden(password: str) -> None:
    marked = f"zqx{password}zqx"
    url = URL.create("postgresql", "u", marked, "h", 5432, "db")
    text = url.render_as_string(hide_password=False)

    assert safe_url(text) == "postgresql://u:***@h:5432/db"
    assert marked not in without_password(f"no way to {text} with {marked}", url)


def test_a_password_with_an_at_sign_says_how_it_is_written() -> None:
    with pytest.raises(InputError, match=r"postgresql://u:\*\*\*@h/db.*written with %40"):
        parse_url("postgresql://u:pass@word@h/db")


def test_settings_do_not_show_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELECTOR_STORE", f"postgresql://u:{SECRET}@h/db")

    assert SECRET not in repr(load_settings()) + str(load_settings())


def test_the_message_of_a_failed_trial_is_stored_without_it(
    postgres_url: str, results: Results
) -> None:
    url = with_password(postgres_url)
    with Store.open(url) as store:
        store.create_study(results.study())
        run_id = store.begin_run(results.run_start())
        store.start_trial("flowers", run_id, results.trial_start(0))
        message = f"OperationalError: {url} and password={SECRET} and {SECRET}"
        end = dataclasses.replace(results.failed(0), failure_message=message)
        store.finish_trial("flowers", end)

        assert SECRET not in str(store.trials("flowers")[0].failure_message)
    assert stored_with_secret(url) == []


def test_a_server_that_refuses_is_named_without_it(postgres_url: str) -> None:
    wrong = make_url(with_password(postgres_url)).set(database="nothere")

    with pytest.raises(UnavailableError, match=r"nothere.*does not exist") as caught:
        Store.open(wrong.render_as_string(hide_password=False))

    assert SECRET not in str(caught.value)


def with_password(url: str) -> str:
    """The same database by a URL with a password in it, which its socket does not ask for."""
    parsed = make_url(url)
    return parsed.set(password=SECRET).render_as_string(hide_password=False)


def stored_with_secret(url: str, *, wanted: str = SECRET) -> list[str]:
    """The tables of the database, Optuna's too, with a row that has the password in it."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    metadata = MetaData()
    metadata.reflect(engine)
    with engine.connect() as connection:
        found = [
            table.name
            for table in metadata.sorted_tables
            if any(wanted in repr(tuple(row)) for row in connection.execute(select(table)))
        ]
    engine.dispose()
    return found


@pytest.mark.storm
def test_a_study_on_postgresql_leaves_the_password_nowhere(
    tmp_path: Path, new_postgres_url: Callable[[], str]
) -> None:
    url = with_password(new_postgres_url())
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "reports.py").write_text(REPORTS_AND_CRASH)
    run = ["-m", "selector.cli", "run", "study.yaml", "--set", "workers=2"]

    ran, arguments = run_watched(run, place=tmp_path, url=url)
    reported, _ = run_watched(["reports.py"], place=tmp_path, url=url)

    assert any("spawn_main" in argument for argument in arguments)
    assert not any(SECRET in argument for argument in arguments)
    assert "3 complete" in ran and SECRET not in ran
    for part in ("Wrote report.html", '"study": "tiny"', "Traceback", "cannot rank tiny"):
        assert part in reported
    assert SECRET not in reported
    assert stored_with_secret(url) == []
    assert stored_with_secret(url, wanted="tiny")  # it does look
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert tmp_path / "report.html" in files
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


def run_watched(words: list[str], *, place: Path, url: str) -> tuple[str, set[str]]:
    """What the program says, and all arguments of it and of every process that it starts."""
    environment = {
        **os.environ,
        "SELECTOR_STORE": url,
        "SELECTOR_CACHE": str(place / "cache"),
        "SELECTOR_ARTIFACTS": str(place / "artifacts"),
    }
    with (place / "said").open("w+") as said:
        process = subprocess.Popen(
            [sys.executable, *words], cwd=place, env=environment, stdout=said, stderr=said
        )
        arguments: set[str] = set()
        while process.poll() is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                top = psutil.Process(process.pid)
                for each in (top, *top.children(recursive=True)):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        arguments.update(each.cmdline())
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
        said.seek(0)
        return said.read(), arguments
