"""The JSON API: list, submit, status, leaderboard, stop, bundles."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from selector import reporting
from selector.identity import who
from selector.reporting.schedules import schedules_page
from selector.service.schedule.listing import schedules_of
from selector.service.web import archive, openapi, views
from selector.service.web.access import body, require_reader, require_token, site_of
from selector.service.web.answering import within_time
from selector.service.web.names import bundle_of, study_of
from selector.service.web.problems import ProblemError
from selector.service.web.site import Site
from selector.service.web.submitting import submitted
from selector.spec.yaml_text import MAX_BYTES

YAML = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")


async def health(_request: Request) -> Response:
    """Says that the server answers; asks for nothing and tells nothing."""
    return JSONResponse({"status": "ok"})


async def description(request: Request) -> Response:
    """The OpenAPI description."""
    require_reader(request)
    return JSONResponse(openapi.document(), media_type="application/vnd.oai.openapi+json")


async def list_studies(request: Request) -> Response:
    """Every study, as `selector list --format json`."""
    require_reader(request)
    site = site_of(request)
    return await _page(lambda: reporting.studies_page(site.store.studies()))


async def list_champions(request: Request) -> Response:
    """What is shipped now of every family of studies."""
    require_reader(request)
    site = site_of(request)
    return await _page(
        lambda: reporting.champions_page(views.champions_of(site.store), artifacts=site.artifacts)
    )


async def list_schedules(request: Request) -> Response:
    """When studies are due next, as `selector schedule --list --format json`."""
    require_reader(request)
    site = site_of(request)
    return await _page(lambda: schedules_page(*schedules_of(site.store)))


async def metrics(request: Request) -> Response:
    """What the store knows of its studies, for Prometheus."""
    require_reader(request)
    from selector import monitoring  # of an extra that not everybody installs

    text = await within_time(lambda: monitoring.render(site_of(request).store))
    return Response(text, media_type=monitoring.CONTENT_TYPE)


async def submit(request: Request) -> Response:
    """Register the study file in the body; workers that serve the store take it."""
    require_token(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in YAML:
        raise ProblemError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"A study file is sent as {YAML[0]}.",
            headers={"Accept-Post": ", ".join(YAML)},
        )
    text = await body(request, limit=MAX_BYTES)
    found = await submitted(text, site=site_of(request))
    where = str(request.app.url_path_for("status", name=found["study"]))
    code = HTTPStatus.CREATED if found["created"] else HTTPStatus.OK
    return JSONResponse(found, status_code=code, headers={"Location": where})


async def status(request: Request) -> Response:
    """What a study is doing."""
    require_reader(request)
    site, name = site_of(request), study_of(request)
    return JSONResponse(await within_time(lambda: views.status(views.study_view(site, name))))


async def leaderboard(request: Request) -> Response:
    """The candidates in rank order, as `selector report --format json`."""
    require_reader(request)
    site, name = site_of(request), study_of(request)
    metric = request.query_params.get("metric")
    return await _page(lambda: site.boards.board(name, metric))


async def stop(request: Request) -> Response:
    """Ask the workers of a study to stop, as `selector stop`."""
    require_token(request)
    name = study_of(request)
    stopped = await within_time(lambda: stop_study(site_of(request), name))
    if not stopped:  # there was nothing to stop
        return JSONResponse({"study": name, "state": "finished"})
    return JSONResponse({"study": name, "state": "stopped"}, status_code=HTTPStatus.ACCEPTED)


async def bundle(request: Request) -> Response:
    """A registered bundle as a zip file."""
    require_reader(request)
    site, key = site_of(request), bundle_of(request)
    found = await within_time(lambda: site.store.bundle(key))
    if found is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, f"There is no bundle {key}.")
    stored = found
    files = await within_time(lambda: archive.checked_files(stored))
    # It becomes part of a header and of paths on the disk of whoever asked.
    name = re.sub(
        r"[^A-Za-z0-9._-]", "_", f"{stored.study}-trial-{stored.trial:04d}-{stored.format}"
    )
    return StreamingResponse(
        archive.stream(files, folder=name),
        media_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{name}.zip"'},
    )


def stop_study(site: Site, name: str) -> bool:
    """Put the mark on a study that its workers see; False where it has finished."""
    return site.store.ask_to_stop(name, who=f"the web page of {who()}")


async def _page(content: Callable[[], Any]) -> Response:
    """A page of the reports, in JSON as the command line writes it."""
    text = await within_time(lambda: reporting.render(content(), "json"))
    return JSONResponse(json.loads(text))
