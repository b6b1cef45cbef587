"""Figures of the candidates and of the leader."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from selector.records import Floats, Ints, LeaderboardRow
from selector.reporting.html.drawing import ACCENT, FAINT, WARM, figure_of, plain
from selector.reporting.html.sections import Figure

SHOWN_CANDIDATES = 30
BLOCK = 12  # classes whose names fit on an axis in the usual size
_LONGEST = 24  # letters of a name that an axis has room for


def intervals(rows: Sequence[LeaderboardRow], metric: str) -> Figure:
    """Scores with their 95% intervals, the best on top; those tied with the best stand out."""
    shown = list(rows[:SHOWN_CANDIDATES])[::-1]
    figure = go.Figure()
    for tied, colour, name in ((True, ACCENT, "tied with the best"), (False, FAINT, "behind")):
        part = [row for row in shown if row.tied_with_best == tied or (tied and row.rank == 1)]
        if not tied:
            part = [row for row in part if row.rank != 1]
        if not part:
            continue
        figure.add_scatter(
            x=[row.score for row in part],
            y=[f"{row.rank}. trial {row.trial}" for row in part],
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [_gap(row.ci_high - row.score) for row in part],
                "arrayminus": [_gap(row.score - row.ci_low) for row in part],
                "thickness": 1.4,
                "width": 3,
            },
            mode="markers",
            marker={"color": colour, "size": 8},
            name=name,
            customdata=[row.backbone for row in part],
            hovertemplate="%{y}<br>%{customdata}<br>%{x:.4f}<extra></extra>",
        )
    order = [f"{row.rank}. trial {row.trial}" for row in shown]
    figure.update_yaxes(categoryorder="array", categoryarray=order, automargin=True)
    figure.update_xaxes(title=metric)
    return figure_of("intervals", figure, height=120 + 22 * len(shown))


def confusion(matrix: Ints, class_names: Sequence[str]) -> Figure:
    """Rows are the true classes, columns what was predicted; colours are shares of the row."""
    totals = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, totals, out=np.zeros(matrix.shape), where=totals > 0)
    names = [plain(name) for name in class_names]
    small = len(names) <= 30
    figure = go.Figure(
        go.Heatmap(
            z=np.round(shares, 4).tolist(),
            x=names,
            y=names,
            colorscale=[[0.0, "#ffffff"], [1.0, ACCENT]],
            zmin=0,
            zmax=1,
            xgap=1,
            ygap=1,
            showscale=False,
            text=matrix.tolist() if small else None,
            texttemplate="%{text}" if small else None,
            customdata=matrix.tolist(),
            hovertemplate="true %{y}<br>predicted %{x}<br>%{customdata} images, %{z:.1%}"
            "<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed", title="true class", automargin=True)
    # Always turned: on a phone level names would lie on top of each other.
    figure.update_xaxes(title={"text": "predicted", "standoff": 12}, side="bottom", tickangle=-60)
    figure.update_xaxes(automargin=True, tickfont={"size": 11 if len(names) <= BLOCK else 9})
    below = 6 * min(_LONGEST, max(len(name) for name in class_names))  # pixels for the names
    return figure_of("confusion", figure, height=max(360, min(900, 130 + 26 * len(names))) + below)


def calibration(rows: Sequence[tuple[float, float, int]], n: int) -> Figure:
    """Observed accuracy over stated confidence, one point a bin, as (confidence, accuracy, n)."""
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        name="perfectly calibrated",
        line={"color": FAINT, "dash": "dot"},
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=[confidence for confidence, _, _ in rows],
        y=[accuracy for _, accuracy, _ in rows],
        mode="lines+markers",
        name="this candidate",
        line={"color": ACCENT},
        marker={"size": [6 + 22 * math.sqrt(count / n) for _, _, count in rows]},
        customdata=[count for _, _, count in rows],
        hovertemplate="stated %{x:.2f}, right %{y:.2f}<br>%{customdata} images<extra></extra>",
    )
    figure.update_xaxes(title="stated probability", range=[0, 1.02])
    figure.update_yaxes(title="share that is right", range=[0, 1.05])
    return figure_of("calibration", figure)


def pareto(
    rows: Sequence[LeaderboardRow],
    costs: Sequence[float],
    front: Sequence[bool],
    metric: str,
    *,
    name: str,
    title: str,
) -> Figure:
    """Score over a cost; candidates that nothing beats in both are joined by a line."""
    figure = go.Figure()
    for on_front, colour, label in ((False, FAINT, "beaten"), (True, WARM, "Pareto front")):
        chosen = sorted(
            (i for i, own in enumerate(front) if own == on_front), key=lambda i: costs[i]
        )
        if not chosen:
            continue
        figure.add_scatter(
            x=[costs[i] for i in chosen],
            y=[rows[i].score for i in chosen],
            mode="lines+markers" if on_front else "markers",
            line={"color": colour, "shape": "hv", "width": 1.5},
            marker={"size": 8, "color": colour},
            name=label,
            customdata=[[rows[i].trial, rows[i].backbone] for i in chosen],
            hovertemplate="trial %{customdata[0]}<br>%{customdata[1]}<br>%{x:.3g}: %{y:.4f}"
            "<extra></extra>",
        )
    figure.update_xaxes(title=title)
    figure.update_yaxes(title=metric)
    return figure_of(f"pareto-{name}", figure)


def confusion_of(labels: Ints, log_probabilities: Floats) -> Ints:
    """Counts (classes, classes) of true and predicted classes."""
    from selector import metrics

    predicted = metrics.predicted_classes(log_probabilities)
    return metrics.confusion(labels, predicted, log_probabilities.shape[1])


def _gap(value: float) -> float | None:
    return value if math.isfinite(value) else None
