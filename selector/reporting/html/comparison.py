"""Two candidates side by side as an HTML file, with pictures that they disagree on."""

from __future__ import annotations

from collections.abc import Mapping

from selector.records import Comparison
from selector.reporting import figures
from selector.reporting.comparison import comparison_page
from selector.reporting.html.page import write_page
from selector.reporting.html.pictures import Captioned, data_url
from selector.reporting.html.sections import Section


def write_comparison(
    found: Comparison, pictures: Mapping[str, bytes], *, pictures_missing: str = ""
) -> str:
    """The comparison as text; `pictures` are PNG or JPEG files by sample."""
    page = comparison_page(found)
    classes, *disagreements = page.tables
    shown = tuple(
        (
            Captioned(
                sample=figures.safe(each.sample),
                caption=f"labelled {figures.safe(each.label)}: A says {figures.safe(each.a)}, "
                f"B says {figures.safe(each.b)}",
                image=data_url(pictures[each.sample]),
            ),
        )
        for each in found.disagreements
        if each.sample in pictures
    )
    missing = (f"No pictures: {pictures_missing}",) if pictures_missing else ()
    return write_page(
        "A and B",
        page.title,
        (
            Section(
                anchor="verdict",
                title="Verdict",
                words=(page.notes[-1], *(f"{name}: {text}" for name, text in page.facts)),
            ),
            Section(anchor="classes", title="Classes", tables=(classes,)),
            Section(
                anchor="disagreements",
                title="Where they disagree",
                words=(*page.notes[:-1], *missing),
                groups=shown,
                tables=tuple(disagreements),
            ),
        ),
    )
