"""`dashboard`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from selector.cli.options import StoreUrl
from selector.cli.output import note, reading


def dashboard(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")
    ] = 8080,
    store: StoreUrl = None,
) -> None:
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


COMMANDS: Mapping[str, Callable[..., Any]] = {"dashboard": dashboard}
