"""The sections of a report, in the order they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from selector.reporting.html import about_candidates, about_course, about_space
from selector.reporting.html.material import Material
from selector.reporting.html.sections import Section
from selector.reporting.html.verdict import verdict

PARTS: tuple[Callable[[Material], Section | None], ...] = (
    about_candidates.leaderboard,
    about_candidates.finals,
    about_candidates.errors,
    about_candidates.classes,
    about_candidates.calibration,
    about_candidates.costs,
    about_course.history,
    about_course.curves,
    about_space.importance,
    about_space.parallel,
    about_space.slices,
    about_course.data,
    about_course.backbones,
    about_course.earlier,
    about_course.failures,
    about_course.reproduce,
)


def sections(material: Material) -> Iterator[Section]:
    """The verdict, then every part that the material has something for."""
    yield Section(anchor="verdict", title="Verdict", words=verdict(material))
    for part in PARTS:
        if (section := part(material)) is not None:
            yield section
