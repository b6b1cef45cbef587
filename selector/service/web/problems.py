"""What goes wrong with a request: one JSON document (RFC 9457), or a page that says the same."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse

from selector.errors import (
    ConflictError,
    InputError,
    LimitsUnmetError,
    ProblemsError,
    SelectorError,
    StoreSilentError,
    UnavailableError,
    UnknownNameError,
    visible,
)


class ProblemError(Exception):
    """Ends a request. `problems` lists several mistakes; `headers` go with the answer."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        problems: tuple[str, ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.problems = problems
        self.headers = dict(headers or {})

    def document(self) -> dict[str, Any]:
        """As RFC 9457 has it; `type` is about:blank, so `title` is the status's own."""
        several = {"problems": list(self.problems)} if self.problems else {}
        return {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": int(self.status),
            "detail": self.detail,
            **several,
        }

    def response(self) -> JSONResponse:
        """The answer of the API."""
        return JSONResponse(
            self.document(),
            status_code=self.status,
            headers=self.headers,
            media_type="application/problem+json",
        )


def of_error(error: SelectorError) -> ProblemError:
    """An error of selector as the answer to the request that met it."""
    match error:
        case StoreSilentError():
            return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "The store does not answer now.")
        case UnknownNameError():
            return ProblemError(HTTPStatus.NOT_FOUND, visible(str(error)))
    return of_text(error.exit_code, _lines(error))


def of_text(exit_code: int, lines: tuple[str, ...]) -> ProblemError:
    """The same of an error that another process met: its exit code, and a line a problem."""
    status = {
        InputError.exit_code: HTTPStatus.UNPROCESSABLE_ENTITY,
        LimitsUnmetError.exit_code: HTTPStatus.UNPROCESSABLE_ENTITY,
        ConflictError.exit_code: HTTPStatus.CONFLICT,
        UnavailableError.exit_code: HTTPStatus.SERVICE_UNAVAILABLE,
    }.get(exit_code, HTTPStatus.INTERNAL_SERVER_ERROR)
    detail = lines[0] if len(lines) == 1 else f"{len(lines)} problems were found."
    return ProblemError(status, detail, problems=lines if len(lines) > 1 else ())


def _lines(error: SelectorError) -> tuple[str, ...]:
    if isinstance(error, ProblemsError):
        return tuple(visible(line) for line in error.problems)
    return (visible(str(error)),)
