"""The way to a Ray cluster: imported late, kept quiet, and one clear line where there is none."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

from selector.errors import UnavailableError
from selector.settings import load_settings

_CONNECT_SECONDS = 10.0
_STORE_BYTES = 100 * 2**20  # of shared memory; nothing large goes through Ray
# Ray prints what happens to its processes wherever its user prints; we say it in our own words.
_QUIET = {"RAY_DEDUP_LOGS_SKIP_REGEX": ".*", "RAY_USAGE_STATS_ENABLED": "0"}
# Without clusters Ray binds to 127.0.0.1; the name is of the systems where that is the default.
_CLUSTERS = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"


@contextlib.contextmanager
def connected(address: str) -> Iterator[Any]:
    """Ray, connected to the cluster; a connection that the program has already is used and kept."""
    ray = import_ray()
    if ray.is_initialized():
        yield ray
        return
    if address == "local":
        where: dict[str, Any] = {"include_dashboard": False, "object_store_memory": _STORE_BYTES}
    else:
        where = {}
        address = _reached(address)
    with _own_signals(), _on_loopback() if address == "local" else contextlib.nullcontext():
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", **where)
        except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            raise UnavailableError(
                f"Ray at '{address}' cannot be used: {first_line(error)} The command runs on a "
                "node of the cluster, with the same versions of Python and Ray."
            ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def import_ray() -> Any:
    """The module `ray`; UnavailableError where it is not installed."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)  # read once, when Ray is imported
    try:
        ray = importlib.import_module("ray")
        importlib.import_module("ray.exceptions")
    except ImportError:
        raise UnavailableError(
            "executor 'ray' needs Ray, which is not installed here. Install it: "
            "pip install 'selector-finetune[ray]'."
        ) from None
    return ray


def _reached(address: str) -> str:
    """HOST:PORT of a head that answers; Ray itself would try for minutes."""
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS") or "auto"
    found = host_and_port(address)
    if found is None:
        return address
    try:
        socket.create_connection(found, timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        raise UnavailableError(
            f"No Ray cluster answers at '{address}': {error.strerror or error}. Is it the "
            "HOST:PORT that `ray start --head` printed?"
        ) from None
    return address


def host_and_port(address: str) -> tuple[str, int] | None:
    host, colon, port = address.rpartition(":")
    return (host, int(port)) if colon and host and "/" not in host and port.isdigit() else None


@contextlib.contextmanager
def _on_loopback() -> Iterator[None]:
    """A Ray that is started within listens on 127.0.0.1 only: others could have it run anything."""
    constants: Any = importlib.import_module("ray._private.ray_constants")
    before, variable = constants.ENABLE_RAY_CLUSTER, os.environ.get(_CLUSTERS)
    # Ray read the variable when it was imported; the processes that it starts read it again.
    constants.ENABLE_RAY_CLUSTER, os.environ[_CLUSTERS] = False, "0"
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = before
        del os.environ[_CLUSTERS]
        if variable is not None:
            os.environ[_CLUSTERS] = variable


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Ray puts its own handler of SIGTERM in the place of ours."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def environment() -> dict[str, str]:
    """What the settings of this process are to those of a worker: the default.

    Not the store, whose URL may hold a password: Ray would write it down and show it.
    """
    settings = load_settings()
    given = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("SELECTOR_") and name != "SELECTOR_STORE"
    }
    paths = {"SELECTOR_ARTIFACTS": str(settings.artifacts.absolute())}
    if "SELECTOR_CACHE" in given:
        paths["SELECTOR_CACHE"] = str(settings.cache.absolute())
    return {**given, **paths}


def first_line(error: BaseException) -> str:
    line = str(error).strip().partition("\n")[0].rstrip(".")
    return f"{line}."
