"""Every error that selector raises on purpose, and the exit code each one means.

SelectorError                    1
├── InputError                   2   the study file, the data or an argument is wrong
│   ├── StudyFileError               ... the study file; carries every problem found
│   ├── DataError                    ... the data; carries every problem found
│   └── UnknownNameError             ... a name that no menu lists
├── ConflictError                3   the store holds something that disagrees
├── UnavailableError             4   store, weights or device cannot be reached
│   ├── StoreSilentError             ... the store, for the moment
│   └── RankLostError                ... a process that trained a trial together with this one
├── LimitsUnmetError             1   no network of the study may be shipped
├── NoCandidateError             5   the budget ended and no trial completed
├── InterruptedRun             130   stopped by the user (143 for SIGTERM); resumable
│   └── StudyStoppedError           ... by `selector stop`, from wherever that was called
├── ParityError                  1   an exported file does not score what is stored
├── TrialFailedError             1   one trial failed, with a cause; never leaves the worker loop
└── TrialLostError               1   one trial is another worker's now; never leaves the worker loop
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

_LISTED = 60  # longer menus are not printed whole
# Control characters steer a terminal, and direction marks reorder what a reader sees.
# As the system and SQLite put it; another process passes on the text alone.
_FULL = re.compile("No space left on device|disk is full|quota exceeded|File too large", re.I)
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class SelectorError(Exception):
    """Root of all errors raised on purpose; the command line prints it as one line."""

    exit_code = 1
    # What a worker was at, where one was: of a trial that waits now, there is no other record.
    trial: int | None = None
    epoch: int | None = None


class InputError(SelectorError):
    """The user's input is wrong; nothing was created."""

    exit_code = 2


class ProblemsError(InputError):
    """Several input mistakes found in one pass."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class StudyFileError(ProblemsError):
    """The study file is wrong; each problem reads `file:line:column: key: message`."""


class DataError(ProblemsError):
    """The data cannot be used; each problem names the file or class and the way out.

    A file may be called anything: each problem is made one line that steers no terminal.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__([visible(problem) for problem in problems])


class UnknownNameError(InputError):
    """A name that is not on the menu, with the closest known one and the whole list."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, within: str = "") -> None:
        choices = sorted(known)
        where = f" in '{within}'" if within else ""
        hint = did_you_mean(name, choices)
        listing = f"Known: {', '.join(choices)}"
        if len(choices) > _LISTED:  # timm alone has over a thousand
            near = difflib.get_close_matches(name, choices, n=10, cutoff=0.4) or choices[:10]
            listing = f"Nearest of {len(choices)} known: {', '.join(near)}"
        super().__init__(f"Unknown {kind} '{name}'{where}.{hint} {listing}.")


class ConflictError(SelectorError):
    """What was asked disagrees with what the store holds; the store is unchanged."""

    exit_code = 3


class UnavailableError(SelectorError):
    """Something outside the program is missing: a store, weights, a device."""

    exit_code = 4


class StoreSilentError(UnavailableError):
    """The store does not answer now and may do so later: away, or its lock is held too long.

    `reason` is what the database said, in one line.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class RankLostError(UnavailableError):
    """One of the processes that train a trial together is gone, and its part of every batch.

    The worker ends with it: the trial is handed out again as that of a worker that was killed.
    """


class LimitsUnmetError(SelectorError):
    """What would be trained, or what was exported, exceeds the study's limits."""


class NoCandidateError(SelectorError):
    """The budget ended without one completed trial; `causes` has a line for each cause."""

    exit_code = 5

    def __init__(self, message: str, *, causes: Sequence[str] = ()) -> None:
        super().__init__("\n".join((message, *causes)))


class InterruptedRun(SelectorError):
    """The run was stopped from outside; the same command continues it."""

    exit_code = 130

    def __init__(self, message: str, *, exit_code: int = 130) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class StudyStoppedError(InterruptedRun):
    """Somebody asked for the study to stop; running it again continues it."""


class ParityError(SelectorError):
    """The exported file does not say what the candidate said, so it must not be shipped."""


class TrialFailedError(SelectorError):
    """One trial cannot go on. `cause` is a short closed word such as `non_finite` or `oom`."""

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause


class TrialLostError(SelectorError):
    """The lease of a trial ran out and it was handed out again; nothing of it is written here."""


def is_full(error: BaseException) -> bool:
    """Whether an error says that a disk or a quota is full, in whatever process it was met."""
    return isinstance(error, UnavailableError) and _FULL.search(str(error)) is not None


def visible(text: str) -> str:
    """The text with control and direction characters written out, as `\\x1b`."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the closest known name, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean '{close[0]}'?" if close else ""
