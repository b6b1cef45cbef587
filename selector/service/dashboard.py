"""Optuna's dashboard on the store, to look at and not to touch."""

from __future__ import annotations

import socket
import socketserver
import sys
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from selector.errors import InputError, UnavailableError
from selector.service.addresses import bare, names_loopback, split, url_of
from selector.service.addresses import is_loopback as is_loopback  # part of what this offers
from selector.store import Store

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

READING = ("GET", "HEAD", "OPTIONS")


class ReadOnly:
    """A WSGI application that passes on what reads and was addressed to this server.

    Optuna's server deletes studies for whoever asks, and a page in the user's own browser can ask.
    A request that writes is refused, and so is one whose Host names neither this machine's
    loopback nor the bound address: that is how a foreign page reaches a local server by a name it
    controls. A page of another origin gets nothing either, whatever it asks for.
    """

    def __init__(self, application: WSGIApplication, *, host: str, port: int) -> None:
        self._application = application
        self._addresses = {(bare(host), port), (bare(host), None)}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        method = str(environ.get("REQUEST_METHOD", ""))
        if method not in READING:
            return _refuse(start_response, HTTPStatus.FORBIDDEN, "This dashboard is read-only.")
        if not self._is_ours(str(environ.get("HTTP_HOST", ""))):
            return _refuse(start_response, HTTPStatus.FORBIDDEN, "Unknown host.")
        if not self._is_own_page(environ):
            return _refuse(start_response, HTTPStatus.FORBIDDEN, "Unknown origin.")
        return self._application(environ, start_response)

    def _is_own_page(self, environ: WSGIEnvironment) -> bool:
        """Whether the asking page is this server's; links and typed addresses name no origin."""
        origin = environ.get("HTTP_ORIGIN")
        if origin is None:
            return True
        scheme, _, address = str(origin).partition("://")
        return scheme == "http" and address == environ.get("HTTP_HOST")

    def _is_ours(self, header: str) -> bool:
        name, port = split(header)
        return names_loopback(name) or (name, port) in self._addresses


class Server(socketserver.ThreadingMixIn, WSGIServer):
    """A small threaded server; a page asks for several things at once."""

    daemon_threads = True

    def server_bind(self) -> None:
        """Bind, without asking a name server what this machine is called."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report a fault, but not a browser that went away."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Server6(Server):
    """The same on an IPv6 address."""

    address_family = socket.AF_INET6


def make_server(store: Store, *, host: str, port: int) -> Server:
    """A server of the dashboard, bound and ready for `serve_forever`; port 0 takes a free one."""
    import optuna_dashboard

    from selector.search.storage import open_storage

    server = _bind(host, port)
    inner = optuna_dashboard.wsgi(open_storage(store))
    server.set_app(ReadOnly(inner, host=host, port=server.server_port))
    return server


def address(server: Server, host: str) -> str:
    """The URL of the page."""
    return url_of(host, server.server_port)


def _bind(host: str, port: int) -> Server:
    kind = Server6 if ":" in host else Server
    try:
        return kind((bare(host), port), _Quiet)
    except OverflowError:
        raise InputError(f"Port {port} is not a port. Legal: 0 (any free one) to 65535.") from None
    except OSError as error:
        raise UnavailableError(
            f"Cannot listen on {host}:{port}: {error.strerror or error}. "
            "Choose another with --port; --port 0 takes a free one."
        ) from None


class _Quiet(WSGIRequestHandler):
    """Serves without a log line for each request."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _refuse(start_response: StartResponse, status: HTTPStatus, why: str) -> Iterable[bytes]:
    body = f"{why}\n".encode()
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response(f"{status.value} {status.phrase}", headers)
    return [body]
