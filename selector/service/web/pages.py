"""The pages for people, made on the server."""

from __future__ import annotations

import mimetypes
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import Any
from urllib.parse import quote

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from selector.reporting import figures, leaderboard
from selector.service.web import views
from selector.service.web.access import form, own_form, require_reader, session_of, site_of
from selector.service.web.answering import within_time
from selector.service.web.api import stop_study
from selector.service.web.names import study_of
from selector.service.web.problems import ProblemError
from selector.service.web.sessions import COOKIE, SESSION_SECONDS, same
from selector.service.web.submitting import submitted

STATIC = ("page.css", "live.js", "icon.svg")


async def studies(request: Request) -> Response:
    """Every study in a line."""
    require_reader(request)
    site = site_of(request)
    found = await within_time(site.store.studies)
    panels = await within_time(lambda: views.panels(site))
    champions = await within_time(lambda: views.champions_of(site.store))
    pages = {each[-1].champion.name: each[-1].champion.study for each in champions}
    pages |= {each.name: each.name for each in found}
    known = {each.name for each in found}
    links = {figures.safe(k): f"/studies/{quote(v)}" for k, v in pages.items() if v in known}
    return _page(request, "studies", title="Studies", studies=found, panels=panels, links=links)


async def study(request: Request) -> Response:
    """One study."""
    require_reader(request)
    site, name = site_of(request), study_of(request)
    view = await within_time(lambda: views.study_view(site, name))
    sections = await within_time(lambda: views.sections(site, view))
    return _page(
        request,
        "study",
        title=figures.safe(name),
        view=view,
        sections=sections,
        counted=leaderboard.counted(view.summary.counts),
    )


async def report(request: Request) -> Response:
    """The HTML report, which brings a policy of its own."""
    require_reader(request)
    site, name = site_of(request), study_of(request)
    text = await within_time(lambda: site.boards.report(name))
    # Both policies hold for a page: this one only adds what a page cannot say of itself.
    return HTMLResponse(text, headers={"Content-Security-Policy": "frame-ancestors 'none'"})


async def stop(request: Request) -> Response:
    """Stop a study by the button of its page."""
    await own_form(request)
    name = study_of(request)
    await within_time(lambda: stop_study(site_of(request), name))
    return _see(str(request.app.url_path_for("study", name=name)))


async def submit_page(request: Request) -> Response:
    """A form for a study file."""
    if session_of(request) is None:
        return _see("/login?next=/submit")
    return _page(request, "submit", title="Submit a study", text="", problem=None)


async def submit(request: Request) -> Response:
    """Register the study file of the form; mistakes come back beside it."""
    fields = await own_form(request)
    text = fields.get("study", "")
    try:
        found = await submitted(text.encode(errors="replace"), site=site_of(request))
    except ProblemError as problem:
        answer = _page(request, "submit", title="Submit a study", text=text, problem=problem)
        answer.status_code = problem.status
        return answer
    return _see(str(request.app.url_path_for("study", name=found["study"])))


async def login_page(request: Request) -> Response:
    """A form for the token."""
    return _page(request, "login", title="Log in", next=_next(request), wrong=False)


async def login(request: Request) -> Response:
    """A session for whoever knows the token."""
    site = site_of(request)
    fields = await form(request)
    if site.token is None or not same(fields.get("token", ""), site.token):
        answer = _page(request, "login", title="Log in", next=_next(request), wrong=True)
        answer.status_code = HTTPStatus.UNAUTHORIZED
        return answer
    response = _see(_next(request))
    response.set_cookie(
        COOKIE,
        site.sessions.begin(),
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.headers.get("origin", "").startswith("https://"),
    )
    return response


async def logout(request: Request) -> Response:
    """End the session."""
    await own_form(request)
    site_of(request).sessions.end(str(session_of(request)))
    response = _see("/")
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


async def static(request: Request) -> Response:
    """The style sheet, the script and the icon; nothing else is a file here."""
    # Browsers ask for an icon at a place of their own where a page, as the report, names none.
    name = request.path_params.get("name", "icon.svg")
    if name not in STATIC:
        raise ProblemError(HTTPStatus.NOT_FOUND, "There is no such page.")
    kind, _ = mimetypes.guess_type(name)
    return Response(_file("static", name), media_type=kind)


def problem_page(request: Request, problem: ProblemError) -> Response:
    """A problem for people; who only has to log in is asked to."""
    reads = request.method in ("GET", "HEAD")
    if problem.status == HTTPStatus.UNAUTHORIZED and reads:
        return _see(f"/login?next={quote(request.url.path)}")
    answer = _page(request, "problem", title=problem.status.phrase, problem=problem)
    answer.status_code = problem.status
    answer.headers.update(problem.headers)
    return answer


def _page(request: Request, template: str, **values: Any) -> Response:
    site, session = site_of(request), session_of(request)
    text = _environment().get_template(f"{template}.html.jinja")
    return HTMLResponse(
        text.render(
            dashboard=site.dashboard,
            writable=site.token is not None,
            readable=site.open_to_read or session is not None,
            form=site.sessions.form_secret(session) if session else None,
            figures=figures,
            **values,
        )
    )


def _see(path: str) -> Response:
    return RedirectResponse(path, status_code=HTTPStatus.SEE_OTHER)


def _next(request: Request) -> str:
    """Where to go after the login: a path of this server, never another one."""
    path = request.query_params.get("next", "/")
    plain = path.startswith("/") and not path.startswith("//") and "\\" not in path
    return path if plain and path.isprintable() else "/"


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("selector.service.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _file(folder: str, name: str) -> str:
    return files("selector.service.web").joinpath(folder, name).read_text(encoding="utf-8")
