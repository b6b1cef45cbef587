"""A real headless browser to open reports in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest


@dataclass
class Opened:
    """A report in the browser, with what the browser complained of and asked the network for."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def scroll_through(self) -> None:
        """Bring every part near once, so that all figures are drawn."""
        drawn = self.page.locator("[data-figure]")
        for number in range(drawn.count()):
            drawn.nth(number).scroll_into_view_if_needed()
        self.page.wait_for_function(
            "document.querySelectorAll('[data-figure]').length === "
            "document.querySelectorAll('.js-plotly-plot').length"
        )


@pytest.fixture
def open_report(chromium: Any, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """Opens the text of a report from a file, at a width in pixels."""
    pages = []

    def open_text(text: str, *, width: int = 1200) -> Opened:
        path = tmp_path / "report.html"
        path.write_text(text, encoding="utf-8")
        opened = Opened(chromium.new_page(viewport={"width": width, "height": 900}))
        pages.append(opened.page)
        opened.page.set_default_timeout(60_000)
        opened.page.on("console", lambda m: opened.complaints.append(m.text))
        opened.page.on("pageerror", lambda e: opened.complaints.append(str(e)))
        opened.page.on(
            "request",
            lambda r: opened.requests.append(r.url) if r.url.startswith("http") else None,
        )
        opened.page.goto(path.as_uri())
        return opened

    yield open_text
    for page in pages:
        page.close()
