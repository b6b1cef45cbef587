"""Hosts and ports: as a server is told to listen on them, and as a request names them."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server bound to `host`."""
    return names_loopback(bare(host))


def url_of(host: str, port: int) -> str:
    """The URL of a server's page."""
    shown = f"[{bare(host)}]" if ":" in host else host
    return f"http://{shown}:{port}/"


def split(header: str) -> tuple[str, int | None]:
    """Host and port of a Host header; an IPv6 address comes in brackets."""
    name, colon, port = header.rpartition(":")
    if not colon or header.endswith("]"):
        return bare(header), None
    return bare(name), int(port) if port.isdecimal() else -1


def bare(host: str) -> str:
    """A host as it is compared: without brackets and the dot of a full name, lower case."""
    return host.strip("[]").rstrip(".").lower()


def names_loopback(name: str) -> bool:
    """Whether a bare host is this machine's loopback."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def is_address(name: str) -> bool:
    """Whether a bare host is an address in numbers, which no foreign name server can point here."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
