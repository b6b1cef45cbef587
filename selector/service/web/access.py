"""Who may do what: the token for programs, a session for browsers."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, Request

from selector.service.web.problems import ProblemError
from selector.service.web.sessions import COOKIE, same
from selector.service.web.site import Site
from selector.spec.yaml_text import MAX_BYTES, TOO_LARGE

BODY_SECONDS = 15.0  # for a body to arrive
FORM_BYTES = 3 * MAX_BYTES + 10_000  # a study file with every character escaped
_BEARER = {"WWW-Authenticate": "Bearer"}


def site_of(request: Request) -> Site:
    """The server that a request came to."""
    site: Site = request.app.state.site
    return site


def session_of(request: Request) -> str | None:
    """The session of a logged-in browser, or None."""
    session = request.cookies.get(COOKIE)
    return session if site_of(request).sessions.lives(session) else None


def require_reader(request: Request) -> None:
    """Refuse who may not read: nobody on loopback, elsewhere whoever has not shown the token."""
    site = site_of(request)
    if not site.open_to_read and session_of(request) is None:
        require_token(request)


def require_token(request: Request) -> None:
    """Refuse a request without the right token; cookies do not count, so no page can send it."""
    expected = site_of(request).token
    if expected is None:
        raise ProblemError(
            HTTPStatus.FORBIDDEN,
            "This server only reads. Start it with a token in SELECTOR_TOKEN to write.",
        )
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not given:
        raise ProblemError(
            HTTPStatus.UNAUTHORIZED,
            "The token is missing: send Authorization: Bearer TOKEN.",
            headers=_BEARER,
        )
    if not same(given.strip(), expected):
        raise ProblemError(HTTPStatus.UNAUTHORIZED, "The token is wrong.", headers=_BEARER)


async def own_form(request: Request) -> dict[str, str]:
    """The fields of a form that a page of this very session sent."""
    session = session_of(request)
    if session is None:
        raise ProblemError(HTTPStatus.UNAUTHORIZED, "Log in first, or again.")
    fields = await form(request)
    if not site_of(request).sessions.is_own_form(session, fields.get("form", "")):
        raise ProblemError(HTTPStatus.FORBIDDEN, "This form is of another session. Load it again.")
    return fields


async def form(request: Request) -> dict[str, str]:
    """The fields of a form; of a field that comes twice the first."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "A form is sent urlencoded.")
    raw = await body(request, limit=FORM_BYTES)
    try:
        fields = parse_qs(raw.decode("ascii"), keep_blank_values=True, max_num_fields=10)
    except ValueError:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "The form cannot be read.") from None
    return {name: values[0] for name, values in fields.items()}


async def body(request: Request, *, limit: int) -> bytes:
    """The body of a request, at most `limit` bytes, which has to arrive in BODY_SECONDS."""
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise ProblemError(
                        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                        f"The body is {TOO_LARGE}",
                        headers={"Connection": "close"},
                    )
                parts.append(part)
    except TimeoutError:
        raise ProblemError(
            HTTPStatus.REQUEST_TIMEOUT,
            f"The body did not arrive in {BODY_SECONDS:g} s.",
            headers={"Connection": "close"},
        ) from None
    except ClientDisconnect:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "The body ended early.") from None
    return b"".join(parts)
