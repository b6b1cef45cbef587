"""A notice to a program of the user's, on its standard input."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from selector.errors import visible

_LONGEST = 200  # characters of what it says


def run(words: Sequence[str], body: bytes, *, base: Path, timeout_seconds: float) -> str | None:
    """Run the program in `base` with the body as its input, once and without a shell.

    None where it ended with 0, else the reason in one line. It and all it started are killed when
    they take longer than the timeout.
    """
    environment = {k: v for k, v in os.environ.items() if k != "SELECTOR_WEBHOOK_SECRET"}
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(
                list(words),
                cwd=base,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        except OSError as error:
            return f"it cannot be started: {error.strerror or error}."
        try:
            process.communicate(body, timeout=timeout_seconds)
        except subprocess.TimeoutExpired:
            return f"it took longer than {timeout_seconds:g} s and was killed."
        finally:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process.returncode == 0:
            return None
        said.seek(0)
        return f"it ended with exit code {process.returncode}{_last_line(said.read())}."


def _last_line(said: bytes) -> str:
    lines = said.decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f": {visible(last[:_LONGEST])}" if last else ""
