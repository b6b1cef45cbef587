"""The application: which path leads where, and what becomes of errors."""

from __future__ import annotations

import logging
from http import HTTPStatus

# Starlette, not FastAPI: a dozen routes without a body to validate, a description that is written
# once by hand, and a third of the packages to keep an eye on.
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from selector.errors import SelectorError
from selector.service.web import api, pages
from selector.service.web.gate import Gate
from selector.service.web.problems import ProblemError, of_error
from selector.service.web.site import Site

FOR_PROGRAMS = ("/api/", "/metrics")  # whose refusals are JSON and no pages
_log = logging.getLogger(__name__)


def make_app(site: Site) -> Gate:
    """The ASGI application of a site."""
    get, post = ["GET"], ["POST"]
    application = Starlette(
        routes=[
            Route("/", pages.studies, methods=get),
            Route("/studies/{name}", pages.study, methods=get, name="study"),
            Route("/studies/{name}/report", pages.report, methods=get),
            Route("/studies/{name}/stop", pages.stop, methods=post),
            Route("/submit", pages.submit_page, methods=get),
            Route("/submit", pages.submit, methods=post),
            Route("/login", pages.login_page, methods=get),
            Route("/login", pages.login, methods=post),
            Route("/logout", pages.logout, methods=post),
            Route("/static/{name}", pages.static, methods=get),
            Route("/favicon.ico", pages.static, methods=get),
            Route("/health", api.health, methods=get),
            Route("/api/openapi.json", api.description, methods=get),
            Route("/api/studies", api.list_studies, methods=get),
            Route("/api/studies", api.submit, methods=post),
            Route("/api/studies/{name}", api.status, methods=get, name="status"),
            Route("/api/studies/{name}/leaderboard", api.leaderboard, methods=get),
            Route("/api/studies/{name}/stop", api.stop, methods=post),
            Route("/api/champions", api.list_champions, methods=get),
            Route("/api/schedules", api.list_schedules, methods=get),
            Route("/metrics", api.metrics, methods=get),
            Route("/api/bundles/{number}", api.bundle, methods=get),
        ],
        exception_handlers={
            ProblemError: _refused,
            SelectorError: _failed,
            HTTPException: _unrouted,
            Exception: _broken,
        },
    )
    application.state.site = site
    application.router.redirect_slashes = False  # every page has one address
    return Gate(application, site=site)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    if request.url.path.startswith(FOR_PROGRAMS):
        return error.response()
    return pages.problem_page(request, error)


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, SelectorError)
    return await _refused(request, of_error(error))


async def _unrouted(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    said = {
        HTTPStatus.NOT_FOUND: "There is no such page.",
        HTTPStatus.METHOD_NOT_ALLOWED: f"This page does not answer to {request.method}.",
    }
    return await _refused(
        request, ProblemError(status, said.get(status, status.phrase), headers=error.headers)
    )


async def _broken(request: Request, error: Exception) -> Response:
    """A mistake of ours: the log has it, the answer only that there was one."""
    _log.error("A request failed.", exc_info=error)
    problem = ProblemError(
        HTTPStatus.INTERNAL_SERVER_ERROR, "This is a mistake of the server; its output says more."
    )
    return await _refused(request, problem)
