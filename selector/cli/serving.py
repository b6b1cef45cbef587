"""`dashboard` and `serve`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from selector.cli.options import StoreUrl
from selector.cli.output import note, reading

Host = Annotated[str, typer.Option(help="The address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")]
AllowedHosts = Annotated[
    list[str] | None,
    typer.Option(
        "--allowed-host",
        metavar="NAME",
        help="A further name that browsers reach the page by. Repeatable.",
        show_default=False,
    ),
]
Folder = Annotated[
    Path,
    typer.Option("--folder", help="Where paths of submitted studies start; they stay below it."),
]
DashboardUrl = Annotated[
    str | None,
    typer.Option(
        "--dashboard",
        metavar="URL",
        help="Where selector dashboard runs, to link to it.",
        show_default=False,
    ),
]


def dashboard(host: Host = "127.0.0.1", port: Port = 8080, store: StoreUrl = None) -> None:
    """Show the store's studies in a browser, read-only, until Ctrl-C."""
    from selector.service.dashboard import address, is_loopback, make_server

    with reading(store) as opened:
        server = make_server(opened, host=host, port=port)
        with server:
            note(f"Dashboard: {address(server, host)} (Ctrl-C ends it)")
            if not is_loopback(host):
                note("It has no login: whoever reaches this address can read every study.")
            try:
                server.serve_forever(poll_interval=0.2)
            except KeyboardInterrupt:
                note("Dashboard closed.")


def serve(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    allowed_host: AllowedHosts = None,
    folder: Folder = Path(),
    dashboard: DashboardUrl = None,
    store: StoreUrl = None,
) -> None:
    """Serve the page of all studies and the JSON API behind it, until Ctrl-C.

    Whoever has the token of SELECTOR_TOKEN may submit and stop studies; without it the page only
    reads. Another address than this machine's own needs a token, for reading too.
    """
    from selector.service.addresses import is_loopback, url_of
    from selector.service.web.server import listen, make_server, make_site
    from selector.settings import load_settings
    from selector.store import Store

    settings = load_settings()
    with Store.open(store or settings.store) as opened:
        site = make_site(
            opened,
            host=host,
            folder=folder,
            artifacts=settings.artifacts,
            token=settings.token,
            names=allowed_host or (),
            dashboard=dashboard,
        )
        with listen(host, port) as listening:
            note(f"Page: {url_of(host, listening.getsockname()[1])} (Ctrl-C ends it)")
            if settings.token is None:
                note("It only reads. With a token in SELECTOR_TOKEN it takes and stops studies.")
            elif not is_loopback(host):
                note("The token travels as it is: put a proxy that speaks TLS in front.")
            try:
                make_server(site).run(sockets=[listening])
            except KeyboardInterrupt:
                note("Page closed.")


COMMANDS: Mapping[str, Callable[..., Any]] = {"serve": serve, "dashboard": dashboard}
