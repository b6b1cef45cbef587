"""What every part of the store's handle is built on: an engine, and one transaction a call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

from selector.store.engine import reaching, writing


class Transactions:
    """A database, with a way to read it and one to write to it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writing = writing(engine)

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        with reaching(engine.url), engine.begin() as connection:
            yield connection
