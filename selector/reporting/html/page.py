"""The report's HTML: one file, nothing from the network, no script but its own two."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import re
from collections.abc import Iterable
from importlib.resources import files

from selector.reporting import figures, leaderboard
from selector.reporting.html.contents import sections
from selector.reporting.html.material import Material
from selector.reporting.html.sections import Section

# plotly brings a style sheet for maps, which the policy would refuse with an error in the console.
# It leaves that out where an element of this name is there already.
_STYLE_OF_MAPS = re.compile(
    r'getElementById\("([0-9a-f]{64})"\)\)\{var \w+=document\.createElement'
)


def write(material: Material) -> str:
    """The report of a study as text. Every name in it is escaped; it opens from anywhere."""
    board = material.board
    return write_page(
        figures.safe(board.study),
        f"{figures.with_arrow(board.metric, board.goal)} · {leaderboard.counted(board.trials)}",
        sections(material),
    )


def write_page(heading: str, subtitle: str, contents: Iterable[Section]) -> str:
    """Sections as one HTML file; it has plotly in it only where there is a figure to draw."""
    import jinja2

    parts = list(contents)
    style, scripts, plotly = _file("report.css") + _heights(parts), list[str](), ""
    if any(part.figures for part in parts):
        from plotly.offline import get_plotlyjs

        plotly = get_plotlyjs()
        scripts = [plotly, _file("draw.js")]
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_file("report.html.jinja")).render(
        title=f"{heading} · selector report",
        heading=heading,
        subtitle=subtitle,
        made=f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC",
        sections=parts,
        policy=_policy(scripts=scripts, styles=(style,)),
        scripts=scripts,
        style=style,
        figures_json=_figures(parts),
        unwanted_styles=_STYLE_OF_MAPS.findall(plotly),
    )


def _figures(parts: Iterable[Section]) -> str:
    """All figures by name, as JSON that cannot end the element it stands in."""
    drawn = {figure.name: figure.spec for part in parts for figure in part.figures}
    text = json.dumps(drawn, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _heights(parts: Iterable[Section]) -> str:
    """As much room for each figure as it will take: it is drawn late, and nothing may jump.

    In the style sheet, for the policy allows no style at the element itself.
    """
    heights = sorted({figure.height for part in parts for figure in part.figures})
    return "".join(f".h{height} {{ min-height: {height}px; }}\n" for height in heights)


def _policy(*, scripts: Iterable[str], styles: Iterable[str]) -> str:
    """Only the scripts and styles of this file, by their hashes; nothing is fetched or sent.

    plotly makes an empty style element and fills it by rules, hence the hash of nothing.
    """
    allowed = " ".join(map(_hash, scripts)) or "'none'"
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {allowed}",
            f"style-src {' '.join(map(_hash, (*styles, '')))}",
            "img-src data: blob:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _file(name: str) -> str:
    return files("selector.reporting.html").joinpath(name).read_text(encoding="utf-8")
