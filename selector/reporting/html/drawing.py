"""What all figures of a report share: colours, fonts, and the way to plain JSON.

No figure uses WebGL: its shaders are compiled from strings, which a strict content security policy
forbids.
"""

from __future__ import annotations

import json
from typing import Any

import plotly.graph_objects as go

from selector.reporting.html.sections import Figure

INK, FAINT, ACCENT, WARM, GRID = "#1f2933", "#9aa5b1", "#1f6f8b", "#c8553d", "#e4e7eb"
PALETTE = ("#1f6f8b", "#c8553d", "#6b8f3a", "#8661a8", "#b8860b", "#3d5a80", "#a23b72", "#5f7470")


def figure_of(name: str, figure: go.Figure, *, height: int = 380) -> Figure:
    """The figure in the report's style, as plain JSON under a name of its own."""
    figure.update_layout(
        template=None,
        height=height,
        margin={"l": 64, "r": 24, "t": 24, "b": 52},
        font={"family": "system-ui, sans-serif", "size": 13, "color": INK},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        hovermode="closest",
    )
    figure.update_xaxes(gridcolor=GRID, zeroline=False, linecolor=FAINT)
    figure.update_yaxes(gridcolor=GRID, zeroline=False, linecolor=FAINT)
    # plotly writes arrays of numpy as base64 otherwise, which nobody can read in the file.
    spec: dict[str, Any] = json.loads(figure.to_json())
    return Figure(name=name, spec=spec, height=height)


def plain(text: str) -> str:
    """Text that plotly shows as it is: it reads some HTML tags in labels."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
