"""What every request has to pass before a page or the API sees it."""

from __future__ import annotations

from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from selector.service.addresses import names_loopback, split
from selector.service.web.problems import ProblemError
from selector.service.web.site import Site

METHODS = ("GET", "HEAD", "POST")
POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "connect-src 'self'",
        "img-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    # Without any referrer a browser sends its own forms with the origin `null`.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Gate:
    """An ASGI application that passes on what was addressed to this server by its own pages.

    A request that names another host is refused, and so is one that a page of another origin sent:
    the browser of a user of this machine reaches what its firewall keeps from others. Only methods
    that some route has are passed on. Every answer says what a browser may do with it.
    """

    def __init__(self, application: ASGIApp, *, site: Site) -> None:
        self._application = application
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
            return
        refused = self._refusal(scope)

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Content-Security-Policy", POLICY)
            await send(message)

        answer = self._application if refused is None else refused.response()
        await answer(scope, receive, send_marked)

    def _refusal(self, scope: Scope) -> ProblemError | None:
        headers = Headers(scope=scope)
        if scope["type"] != "http":
            return ProblemError(HTTPStatus.FORBIDDEN, "Nothing but HTTP is served here.")
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._site.knows(split(hosts[0])[0]):
            return ProblemError(
                HTTPStatus.FORBIDDEN,
                "Unknown host. Name this server as it is: --allowed-host NAME serves a name.",
            )
        if not self._is_own_page(headers, hosts[0]):
            return ProblemError(HTTPStatus.FORBIDDEN, "Unknown origin.")
        if scope["method"] not in METHODS:
            return ProblemError(
                HTTPStatus.METHOD_NOT_ALLOWED,
                f"Nothing here answers to {scope['method']!r}.",
                headers={"Allow": ", ".join(METHODS)},
            )
        return None

    def _is_own_page(self, headers: Headers, host: str) -> bool:
        """Whether the asking page is this server's; links and programs name no origin."""
        if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            # Following a link from elsewhere is no request of that page.
            return headers.get("sec-fetch-mode") == "navigate" and "origin" not in headers
        origin = headers.get("origin")
        if origin is None:
            return True
        scheme, _, address = origin.partition("://")
        # A proxy that speaks TLS has a name of its own.
        schemes = ("http",) if names_loopback(split(host)[0]) else ("http", "https")
        return scheme in schemes and address == host
