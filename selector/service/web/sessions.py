"""Browsers that have given the token: each has a cookie, and its forms carry a second secret."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from threading import Lock

COOKIE = "selector_session"
SESSION_SECONDS = 12 * 3600
_MOST = 1000  # sessions at a time; the oldest goes first


class Sessions:
    """Who is logged in to one server. Nothing survives the server, and the token is not stored."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._began: OrderedDict[str, float] = OrderedDict()
        self._lock = Lock()

    def begin(self) -> str:
        """A new session; what its cookie holds."""
        session = secrets.token_urlsafe(32)
        with self._lock:
            self._began[_hashed(session)] = time.monotonic()
            while len(self._began) > _MOST:
                self._began.popitem(last=False)
        return session

    def lives(self, session: str | None) -> bool:
        """Whether a cookie belongs to somebody who is logged in."""
        if session is None:
            return False
        with self._lock:
            began = self._began.get(_hashed(session))
        return began is not None and time.monotonic() - began < SESSION_SECONDS

    def end(self, session: str) -> None:
        """Log a session out."""
        with self._lock:
            self._began.pop(_hashed(session), None)

    def form_secret(self, session: str) -> str:
        """What the forms of a session carry, so that no other page can send them."""
        return hmac.new(self._secret, session.encode(), hashlib.sha256).hexdigest()

    def is_own_form(self, session: str, given: str) -> bool:
        """Whether a form was made for this session."""
        return same(given, self.form_secret(session))


def same(given: str, expected: str) -> bool:
    """Whether two secrets are equal; takes as long whichever character differs."""
    return hmac.compare_digest(given.encode(errors="replace"), expected.encode())


def _hashed(session: str) -> str:
    return hashlib.sha256(session.encode(errors="replace")).hexdigest()
