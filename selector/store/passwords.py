"""Database passwords, kept out of everything that is printed or stored."""

from __future__ import annotations

import re
from urllib.parse import quote, quote_plus

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

HIDDEN = "***"
_SECRET_KEYS = ("password", "sslpassword", "passwd", "pwd")
_IN_A_QUERY = re.compile(
    rf"\b({'|'.join(_SECRET_KEYS)})(\s*=\s*)('[^']*'|[^\s&'\"]+)", re.IGNORECASE
)
_IN_A_URL = re.compile(r"(\w://[^\s:/@'\"]*):[^\s/'\"]+@")
_SHORTEST = 4  # shorter ones occur in ordinary words, which nobody could read then


def safe_url(url: str | URL) -> str:
    """The URL as it may be printed: `***` stands for each password in it, wherever it is."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return _without_parsing(str(url))
    if "@" in (parsed.host or ""):  # a password that was not written with %40
        parsed = parsed.set(host=str(parsed.host).rpartition("@")[2])
    query = {k: HIDDEN if k.lower() in _SECRET_KEYS else v for k, v in parsed.query.items()}
    shown = parsed.set(query=query).render_as_string(hide_password=True)
    return shown.replace(quote_plus(HIDDEN), HIDDEN)


def holds_password(url: str | URL) -> bool:
    """Whether there is anything in the URL that must not be shown."""
    return any(_given(make_url(url)))


def without_password(text: str, url: URL) -> str:
    """A message with the password of `url`, and of any URL that it quotes, written as `***`."""
    for secret in _passwords(url):
        for spelling in {secret, quote(secret, safe=""), quote_plus(secret)}:
            text = text.replace(spelling, HIDDEN)
    return without_passwords(text)


def without_passwords(text: str) -> str:
    """A message with the password of every URL that it quotes written as `***`."""
    return _IN_A_QUERY.sub(rf"\1\2{HIDDEN}", _IN_A_URL.sub(rf"\1:{HIDDEN}@", text))


def _passwords(url: URL) -> list[str]:
    return sorted((p for p in _given(url) if len(p) >= _SHORTEST), key=len, reverse=True)


def _given(url: URL) -> list[str]:
    given = [str(url.password or "")]
    for key in _SECRET_KEYS:
        value = url.query.get(key, ())
        given += [value] if isinstance(value, str) else list(value)
    return given


def _without_parsing(text: str) -> str:
    """Of a text that is no URL: the scheme, and what stands behind the last @."""
    start, at, end = text.rpartition("@")
    if at:
        scheme = re.match(r"[a-z0-9+]*:?/+", start)  # without a slash it may be a user's name
        text = f"{scheme[0] if scheme else ''}{HIDDEN}@{end}"
    return _IN_A_QUERY.sub(rf"\1\2{HIDDEN}", text)
