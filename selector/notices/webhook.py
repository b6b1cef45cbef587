"""A notice by HTTP POST."""

from __future__ import annotations

import hashlib
import hmac
import time
import urllib.request
from http.client import HTTPException, HTTPMessage
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from selector.records import Notice
from selector.spec.notify import is_loopback

SIGNATURE = "X-Selector-Signature"
_PASSING = (408, 425, 429, 500, 502, 503, 504)  # another try may fare better


def post(
    url: str,
    body: bytes,
    *,
    notice: Notice,
    secret: str | None,
    timeout_seconds: float,
    retries: int,
    backoff_seconds: float = 1.0,
) -> str | None:
    """Send the body; None where the receiver answered 2xx, else the reason in one line.

    What may pass (no connection, 5xx, 429) is tried again `retries` times, after 1, 2, 4, ...
    times `backoff_seconds`. With a secret the body is signed: HMAC-SHA256 in hexadecimal.
    """
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "selector",
        "X-Selector-Event": notice.kind,
        "X-Selector-Delivery": notice.id,  # the same in every try
    }
    if secret:
        headers[SIGNATURE] = f"sha256={signature(body, secret)}"
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")
    opener = _opener(url)
    reason = ""
    for attempt in range(retries + 1):
        if attempt:
            time.sleep(backoff_seconds * 2 ** (attempt - 1))
        try:
            with opener.open(request, timeout=timeout_seconds):
                return None
        except HTTPError as answer:
            reason = f"it answered {answer.code}"
            answer.close()
            if answer.code not in _PASSING:
                return f"{reason}."
        except (URLError, HTTPException, OSError) as error:
            cause = error.reason if isinstance(error, URLError) else error
            reason = " ".join(str(cause).split()) or type(cause).__name__
    tries = "once" if retries == 0 else f"{retries + 1} times"
    return f"{reason} (tried {tries})."


def signature(body: bytes, secret: str) -> str:
    """What a receiver compares with the header, in constant time."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A notice goes to the address that the study file names, and to no other."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> None:
        """No request: the redirect itself is the answer, which is no success."""
        del req, fp, code, msg, headers, newurl


def _opener(url: str) -> urllib.request.OpenerDirector:
    handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
    if is_loopback(urlsplit(url).hostname or ""):
        handlers.append(urllib.request.ProxyHandler({}))  # no proxy reaches this machine's own
    return urllib.request.build_opener(*handlers)
