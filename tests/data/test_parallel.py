from __future__ import annotations

import threading

import pytest

from selector.data.parallel import map_threads


def test_results_come_in_order_and_progress_from_the_callers_thread() -> None:
    seen: list[tuple[int, int, str, int]] = []

    def progress(done: int, total: int, label: str) -> None:
        seen.append((done, total, label, threading.get_ident()))

    results = list(map_threads(lambda x: x * x, range(600), label="work", progress=progress))
    assert results == [x * x for x in range(600)]
    here = threading.get_ident()
    assert seen == [(done, 600, "work", here) for done in range(1, 601)]


def test_an_error_reaches_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        list(map_threads(lambda x: 1 // x, [1, 0, 2], label="", progress=None))
