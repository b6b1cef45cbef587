"""Metrics over HTTP, for Prometheus to read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server

from selector.errors import UnavailableError


@contextmanager
def serving(registry: CollectorRegistry, *, host: str, port: int) -> Iterator[str]:
    """Serve the registry at `/metrics` within; gives the address. Port 0 takes a free one.

    Raises UnavailableError where the address cannot be taken.
    """
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise UnavailableError(
            f"Metrics cannot be served on {host}, port {port}: {error.strerror or error}. Name "
            "another with --metrics-port (0 takes a free one), SELECTOR_METRICS_PORT or "
            "SELECTOR_METRICS_HOST."
        ) from error
    name = f"[{host}]" if ":" in host else host
    try:
        yield f"http://{name}:{server.server_address[1]}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
