"""Work for an answer, away from the loop that all connections share, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

from starlette.concurrency import run_in_threadpool

from selector.service.web.problems import ProblemError

ANSWER_SECONDS = 60.0
Value = TypeVar("Value")


async def within_time(make: Callable[[], Value]) -> Value:
    """What `make` gives in a thread of its own; ProblemError after ANSWER_SECONDS."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await run_in_threadpool(make)
    except TimeoutError:
        raise ProblemError(
            HTTPStatus.GATEWAY_TIMEOUT,
            f"No answer in {ANSWER_SECONDS:g} s; it is being made, ask again in a moment.",
        ) from None
