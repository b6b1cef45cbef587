"""Who is told when a run ends or a champion is replaced."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, field_validator, model_validator

from selector.records import NoticeKind
from selector.spec.section import Section


def _as_tuple(raw: object) -> object:
    """A list as YAML has it, each thing in it once; anything else is refused by its type."""
    return tuple(dict.fromkeys(raw)) if isinstance(raw, list) else raw


def _as_words(raw: object) -> object:
    if isinstance(raw, str):
        raise ValueError(
            f"{raw!r} is one text; write the program and its arguments as a list, such as "
            "[notify-send, done]. There is no shell."
        )
    return tuple(raw) if isinstance(raw, list) else raw


Words = Annotated[tuple[str, ...], BeforeValidator(_as_words), Field(min_length=1)]
Kinds = Annotated[tuple[NoticeKind, ...], BeforeValidator(_as_tuple), Field(min_length=1)]


class NotifySpec(Section):
    """A webhook, a command or both, and what they hear of."""

    url: str | None = None
    command: Words | None = None
    on: Kinds = ("finish", "failure", "swap")
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 10.0
    retries: Annotated[int, Field(ge=0, le=10)] = 3  # of the webhook

    @field_validator("url")
    @classmethod
    def _safe(cls, url: str | None) -> str | None:
        if url is not None and (reason := _reason_against(url)):
            raise ValueError(reason)
        return url

    @field_validator("command", mode="after")
    @classmethod
    def _names_a_program(cls, command: Any) -> Any:
        if command is not None and not command[0].strip():
            raise ValueError("its first word is the program, and must not be empty.")
        return command

    @model_validator(mode="after")
    def _tells_somebody(self) -> Self:
        if self.url is None and self.command is None:
            raise ValueError("name a url, a command or both; or leave notify out.")
        return self


def shown(url: str) -> str:
    """The URL for people: path and query may be a secret of the receiver's."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


def is_loopback(host: str) -> bool:
    """Whether the host is this machine by its name alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _reason_against(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return f"is no URL: {error}."
    if not host or not url.isascii() or any(c.isspace() for c in url):
        return "is no URL; write for example https://example.org/hook."
    if parts.username is not None or parts.password is not None:
        return (
            "has a user or password in it, and the study file is stored and shown. Have the "
            "receiver check the signature instead: SELECTOR_WEBHOOK_SECRET."
        )
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)):
        return None
    return f"'{parts.scheme}://{host}' is not allowed. Allowed: https, or http on this machine."
