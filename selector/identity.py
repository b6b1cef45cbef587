"""Who runs this process, for the record."""

from __future__ import annotations

import getpass
import os
import socket


def who() -> str:
    """The user and the host, as far as the system knows them: `alice@box`."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container may have no name for its user
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"
