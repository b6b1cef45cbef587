"""A study is held by one worker at a time, in whatever process it lives."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from selector.errors import ConflictError
from selector.store import Store, study_lock

HOLD = """
import sys
from selector.store import Store, study_lock
with Store.open(sys.argv[1]) as store, study_lock(store, "flowers"):
    print("held", flush=True)
    sys.stdin.read()
"""


def _holder(url: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_another_process_waits_and_then_gives_up_with_a_clear_line(store: Store) -> None:
    with _holder(store.url) as holder:
        waiting = study_lock(store, "flowers", wait_seconds=0.2)
        with pytest.raises(ConflictError, match="holds the lock of 'study flowers'"), waiting:
            pytest.fail("two holders")
        with study_lock(store, "other"):
            pass
        holder.communicate()
    with study_lock(store, "flowers", wait_seconds=5):
        pass


def test_a_killed_holder_gives_the_lock_back(store: Store) -> None:
    with _holder(store.url) as holder:
        holder.kill()
    with study_lock(store, "flowers", wait_seconds=30):
        pass


def test_an_error_inside_gives_the_lock_back(store: Store) -> None:
    with pytest.raises(KeyError), study_lock(store, "flowers"):
        raise KeyError("x")
    with study_lock(store, "flowers", wait_seconds=5):
        pass


def test_threads_take_turns(store: Store) -> None:
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(10):
            with study_lock(store, "flowers"):
                inside += 1
                most = max(most, inside)
                store.studies()
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_the_store_can_be_written_while_the_lock_is_held(filled: Store) -> None:
    with study_lock(filled, "flowers"):
        filled.release_trial("flowers", 5)
