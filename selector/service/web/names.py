"""What a request may name: studies and bundles, never files."""

from __future__ import annotations

import re
from http import HTTPStatus

from starlette.requests import Request

from selector.service.web.problems import ProblemError

STUDY = r"[a-z0-9][a-z0-9._-]{0,192}"  # as study files have it
_LARGEST = 2**31 - 1


def study_of(request: Request) -> str:
    """The study that the path names; ProblemError for what cannot be one's name."""
    name: str = request.path_params["name"]
    if not re.fullmatch(STUDY, name):
        raise ProblemError(HTTPStatus.NOT_FOUND, "No study has such a name.")
    return name


def bundle_of(request: Request) -> int:
    """The number of the bundle that the path names."""
    text: str = request.path_params["number"]
    if not (text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= _LARGEST):
        raise ProblemError(HTTPStatus.NOT_FOUND, "A bundle has a number.")
    return int(text)
