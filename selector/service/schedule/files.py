"""The study files that are served: read again whenever they change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from selector.errors import InputError, SelectorError
from selector.spec import load_study
from selector.spec.schema import ScheduleSpec, StudySpec

SUFFIXES = (".yaml", ".yml")
_EXAMPLE = 'schedule: {cron: "0 2 * * 1-5", timezone: Europe/Berlin}'


@dataclass(frozen=True, slots=True)
class ScheduledStudy:
    """A study that has a schedule."""

    name: str
    file: Path
    schedule: ScheduleSpec


@dataclass(frozen=True, slots=True)
class Listing:
    """What the files say now; a problem is one line that names its file and the way out."""

    studies: tuple[ScheduledStudy, ...]
    problems: Mapping[Path, str]


class StudyFiles:
    """Study files and folders of them; a folder's other studies are none of its business."""

    def __init__(self, places: Sequence[Path]) -> None:
        self._places = tuple(places)
        self._known: dict[Path, tuple[object, StudySpec | str]] = {}

    def read(self) -> Listing:
        """Every scheduled study, in the order of the places, and what cannot be served."""
        studies: dict[str, ScheduledStudy] = {}
        problems: dict[Path, str] = {}
        for file, wanted in self._files().items():
            found = self._spec(file)
            if isinstance(found, str):
                problems[file] = found
            elif found.schedule is None:
                if wanted:
                    problems[file] = f"{file}: study '{found.name}' has no schedule. Add {_EXAMPLE}"
            elif found.name in studies:
                other = studies[found.name].file
                problems[file] = (
                    f"{file}: study '{found.name}' is already that of {other}; change its name."
                )
            else:
                studies[found.name] = ScheduledStudy(found.name, file, found.schedule)
        return Listing(tuple(studies.values()), problems)

    def require(self) -> Listing:
        """What `read` gives; InputError where a file that was named itself cannot be served."""
        listing = self.read()
        wrong = [line for file, line in listing.problems.items() if file in self._places]
        if wrong:
            raise InputError("\n".join(wrong))
        return listing

    def _files(self) -> dict[Path, bool]:
        """Every file once, and whether it was named itself."""
        files: dict[Path, bool] = {}
        for place in self._places:
            inside = _inside(place) if place.is_dir() else None
            if inside is None:
                files[place] = True
            else:
                files |= {file: files.get(file, False) for file in inside}
        return files

    def _spec(self, file: Path) -> StudySpec | str:
        """The study of a file, or what is wrong with it; an unchanged file is not read again."""
        try:
            status = file.stat()
            state: object = (status.st_mtime_ns, status.st_size, status.st_ino)
        except OSError as error:
            return f"{file}: {error.strerror or error}; put it back, or stop serving it."
        if file not in self._known or self._known[file][0] != state:
            self._known[file] = (state, _load(file))
        return self._known[file][1]


def _inside(folder: Path) -> list[Path] | None:
    """The study files of a folder; None where it cannot be read, which is told as of a file."""
    try:
        return sorted(p for p in folder.iterdir() if p.suffix in SUFFIXES and p.is_file())
    except OSError:
        return None


def _load(file: Path) -> StudySpec | str:
    try:
        return load_study(file)
    except SelectorError as error:
        first, *more = str(error).splitlines()
        rest = f" And {len(more)} more: selector validate {file}" if more else ""
        return f"{first if first.startswith(str(file)) else f'{file}: {first}'}{rest}"
