"""Whose turn it is to renew, when a process dies and when it lives."""

from __future__ import annotations

import os
import subprocess
import sys

from selector.records import Lease
from selector.store import Store
from selector.turns import turn

DIES = """
import os, sys
from selector.store import Store
from selector.turns import turn
with Store.open(sys.argv[1]) as store, turn(store, "flowers") as held:
    print(type(held).__name__, flush=True)
    os._exit(9)  # as a kill would end it: nothing is given back
"""


def test_the_turn_of_a_process_that_died_is_taken_over_at_once(store_url: str) -> None:
    with Store.open(store_url) as store:
        done = subprocess.run(
            [sys.executable, "-c", DIES, store.url],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=False,
        )
        assert (done.returncode, done.stdout) == (9, "Lease\n"), done.stderr
        with turn(store, "flowers") as held:
            assert isinstance(held, Lease)


def test_a_turn_is_one_family_s_and_ends_with_its_context(store_url: str) -> None:
    with Store.open(store_url) as store:
        with turn(store, "flowers") as one, turn(store, "flowers") as two:
            assert isinstance(one, Lease)
            assert isinstance(two, str) and f"pid {os.getpid()}" in two
            with turn(store, "weeds") as other:
                assert isinstance(other, Lease)
        with turn(store, "flowers") as again:
            assert isinstance(again, Lease)
