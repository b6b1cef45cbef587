"""A copy of the whole database, Optuna's tables too, in a file next to it."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing, suppress
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.engine import URL

from selector.errors import UnavailableError
from selector.store.engine import safe_url, sqlite_file
from selector.store.passwords import without_password


def backup(engine: Engine, *, label: str, folder: Path | None = None) -> Path:
    """Copy the database to a new file and give its path; `label` becomes part of its name.

    SQLite through its own backup, which others may write beside, into `folder` or next to the
    database; PostgreSQL through pg_dump, into `folder` or here. Raises UnavailableError where that
    cannot be done; no half file stays.
    """
    stamp = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%S%fZ")
    file = sqlite_file(engine.url)
    if file is not None:
        target = (folder or file.parent) / f"{file.name}.{label}-{stamp}.backup"
    else:
        target = (folder or Path.cwd()) / f"{engine.url.database}.{label}-{stamp}.dump"
    half = target.with_name(f".{target.name}.tmp")
    try:
        if file is not None:
            _copy_sqlite(file, half)
        else:
            _dump(engine.url, half)
        with half.open("rb") as written:
            os.fsync(written.fileno())
        half.rename(target)
    except (OSError, sqlite3.Error) as error:
        raise UnavailableError(
            f"Store '{safe_url(engine.url)}' could not be copied to '{target}': {error}. "
            "Nothing was changed."
        ) from error
    finally:
        with suppress(OSError):
            half.unlink(missing_ok=True)
    return target


def _copy_sqlite(file: Path, target: Path) -> None:
    source = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)
    with closing(source), closing(sqlite3.connect(target)) as copy:
        source.backup(copy)


def _dump(url: URL, target: Path) -> None:
    program = shutil.which("pg_dump")
    if program is None:
        raise UnavailableError(
            f"Store '{safe_url(url)}' is copied by pg_dump, which is not installed here. Install "
            "PostgreSQL's client programs, or make a backup by other means and add --no-backup."
        )
    # Not on the command line, where every user of the machine could read it.
    password = url.password or url.query.get("password")
    secret = {"PGPASSWORD": str(password)} if password else {}
    bare = url.set(drivername="postgresql", password=None).difference_update_query(["password"])
    plain = bare.render_as_string(hide_password=False)
    done = subprocess.run(
        [program, "--format=custom", f"--file={target}", f"--dbname={plain}", "--no-password"],
        env={**os.environ, **secret},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = without_password(" ".join(done.stderr.split()), url)
        raise UnavailableError(
            f"pg_dump could not copy store '{safe_url(url)}': {said} Nothing was changed. Mend "
            "that, or make a backup by other means and add --no-backup."
        )
