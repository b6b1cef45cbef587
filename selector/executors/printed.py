"""What a started process prints, line by line."""

from __future__ import annotations

import os
from collections.abc import Callable
from multiprocessing.connection import Connection

CHUNK = 65536  # bytes


class Printed:
    """Passes on every line, but blank ones, that arrives at `pipe`."""

    def __init__(self, pipe: Connection, say: Callable[[str], None]) -> None:
        self.pipe = pipe
        self._say = say
        self._line = b""  # that has not ended yet

    def take_in(self) -> None:
        """Pass on the whole lines of what has arrived."""
        if self.pipe.poll():
            self._read()

    def take_in_all(self) -> None:
        """Pass on what is left of a process that is gone; its last line may have no end."""
        while self.pipe.poll() and self._read():
            pass
        self._pass_on(self._line)

    def _read(self) -> bool:
        """Pass on the whole lines of the next bytes; False at the pipe's end."""
        chunk = os.read(self.pipe.fileno(), CHUNK)
        *lines, self._line = (self._line + chunk).split(b"\n")
        for line in lines:
            self._pass_on(line)
        return bool(chunk)

    def _pass_on(self, line: bytes) -> None:
        # Bars go back to the start of their line; only what they end as is worth a line here.
        text = line.rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace")
        if text.strip():
            self._say(text)
