"""Submissions as the server has them checked: one at a time, in a process that can be ended."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from selector.errors import SelectorError, visible
from selector.service.study_text import read_sent
from selector.service.web.answering import within_time
from selector.service.web.problems import ProblemError, of_error, of_text
from selector.service.web.site import Site

SUBMIT_SECONDS = 300.0  # to read and audit the data of one study


async def submitted(text: bytes, *, site: Site, limit_seconds: float = SUBMIT_SECONDS) -> Any:
    """What `selector.service.submission` says of a study file.

    ProblemError with every mistake, or where another submission is being checked, or this one takes
    longer than `limit_seconds`.
    """
    try:
        await within_time(lambda: read_sent(text, folder=site.folder))  # mistakes are said at once
    except SelectorError as error:
        raise of_error(error) from None
    if site.checking.locked():
        raise ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "Another study is being checked. Send this one again in a moment.",
            headers={"Retry-After": "5"},
        )
    async with site.checking:
        document = await _asked(text, site=site, limit_seconds=limit_seconds)
    if "result" in document:
        return document["result"]
    raise of_text(document["exit_code"], tuple(visible(line) for line in document["problems"]))


async def _asked(text: bytes, *, site: Site, limit_seconds: float) -> Any:
    environment = {**os.environ, "SELECTOR_STORE": site.store.url}
    environment.pop("SELECTOR_TOKEN", None)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # not a module that lies in the folder
        "-m",
        "selector.service.submission",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=site.folder,
        env=environment,
    )
    try:
        async with asyncio.timeout(limit_seconds):
            answer, _ = await process.communicate(text)
    except TimeoutError:
        raise ProblemError(
            HTTPStatus.GATEWAY_TIMEOUT,
            f"The study was not checked in {limit_seconds:g} s: too many images to read at once. "
            "Begin it with selector run on a machine that has them.",
        ) from None
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    if process.returncode != 0:
        raise ProblemError(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "The check of the study broke off; the server's own output says why.",
        )
    return json.loads(answer)
