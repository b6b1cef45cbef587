"""The server: bound to an address, with the limits of a small public one."""

from __future__ import annotations

import socket
from collections.abc import Collection
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn

from selector.errors import InputError, UnavailableError
from selector.service.addresses import bare, is_loopback
from selector.service.web.app import make_app
from selector.service.web.boards import Boards
from selector.service.web.live import Progress
from selector.service.web.sessions import Sessions
from selector.service.web.site import Site
from selector.store import Store

CONNECTIONS = 200  # at a time
IDLE_SECONDS = 10
STOP_SECONDS = 3


def make_site(
    store: Store,
    *,
    host: str,
    folder: Path,
    artifacts: Path,
    token: str | None = None,
    names: Collection[str] = (),
    dashboard: str | None = None,
) -> Site:
    """What a server of a store is to be; InputError for what must not be served like that."""
    if not is_loopback(host) and token is None:
        raise InputError(
            f"--host {host} can be reached from other machines, and nobody would have to show a "
            "token. Set SELECTOR_TOKEN to 16 characters or more, or serve 127.0.0.1."
        )
    if dashboard is not None and urlsplit(dashboard).scheme not in ("http", "https"):
        raise InputError(
            f"--dashboard '{dashboard}': give its URL, such as http://127.0.0.1:8080/."
        )
    if not folder.is_dir():
        raise InputError(f"--folder '{folder}' is no folder.")
    return Site(
        store=store,
        host=host,
        folder=folder.resolve(),
        artifacts=artifacts,
        token=token,
        names=frozenset(bare(name) for name in names),
        dashboard=dashboard,
        boards=Boards(store, artifacts=artifacts),
        progress=Progress(store),
        sessions=Sessions(),
    )


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to the address; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((bare(host), port), family=family, backlog=128)
    except OSError as error:
        raise UnavailableError(
            f"Cannot listen on {host}:{port}: {error.strerror or error}. "
            "Choose another with --port; --port 0 takes a free one."
        ) from None


def make_server(site: Site) -> uvicorn.Server:
    """A server of a site; `run(sockets=[...])` serves until a signal or `should_exit`."""
    return uvicorn.Server(
        uvicorn.Config(
            make_app(site),
            http="h11",
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=STOP_SECONDS,
            h11_max_incomplete_event_size=32_768,
        )
    )
