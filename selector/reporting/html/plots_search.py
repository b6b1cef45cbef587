"""Figures of the search: its course and its parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from selector.records import EpochRecord, TrialRow
from selector.reporting.html.drawing import ACCENT, FAINT, INK, PALETTE, WARM, figure_of, plain
from selector.reporting.html.sections import Figure

BANDS = 5  # of scores among parallel coordinates
FEW = 8  # values of a parameter that are shown as choices


def history(trials: Sequence[TrialRow], metric: str, *, maximize: bool, last: int) -> Figure:
    """Every trial's best score in the order they were taken, and the best so far up to `last`."""
    figure = go.Figure()
    complete = [t for t in trials if t.state == "complete" and t.score is not None]
    pruned = [t for t in trials if t.state == "pruned" and t.score is not None]
    for name, part, colour, symbol in (
        ("complete", complete, ACCENT, "circle"),
        ("pruned", pruned, FAINT, "x"),
    ):
        if part:
            figure.add_scatter(
                x=[t.number for t in part],
                y=[t.score for t in part],
                mode="markers",
                name=name,
                marker={"color": colour, "symbol": symbol, "size": 7},
                customdata=[t.backbone for t in part],
                hovertemplate="trial %{x}<br>%{customdata}<br>%{y:.4f}<extra></extra>",
            )
    if complete:
        best = np.array([t.score for t in complete], dtype=np.float64)
        running = np.maximum.accumulate(best) if maximize else np.minimum.accumulate(best)
        figure.add_scatter(
            # The best stays the best while others end badly: up to the last trial of all.
            x=[*(t.number for t in complete), last],
            y=[*running.tolist(), float(running[-1])],
            mode="lines",
            name="best so far",
            line={"color": WARM, "shape": "hv", "width": 2},
            hoverinfo="skip",
        )
    figure.update_xaxes(title="trial")
    figure.update_yaxes(title=metric)
    return figure_of("history", figure)


def curves(
    trials: Sequence[TrialRow],
    epochs: Sequence[tuple[int, EpochRecord]],
    metric: str,
    *,
    winner: int | None,
) -> Figure:
    """The score of every trial after each epoch.

    One trace for all trials of a state: a thousand traces would be slow to draw.
    """
    state = {trial.number: trial.state for trial in trials}
    by_trial: dict[int, list[EpochRecord]] = {}
    for number, epoch in epochs:
        by_trial.setdefault(number, []).append(epoch)
    figure = go.Figure()
    for name, colour, width in (
        ("pruned", FAINT, 1.0),
        ("failed", "#d9a441", 1.0),
        ("complete", ACCENT, 1.2),
    ):
        x, y, labels = _chained(
            {n: e for n, e in by_trial.items() if state.get(n) == name and n != winner}
        )
        if x:
            figure.add_scatter(
                x=x,
                y=y,
                mode="lines+markers",
                name=name,
                line={"color": colour, "width": width},
                marker={"size": 3},
                opacity=0.75,
                text=labels,
                hovertemplate="%{text}, epoch %{x}: %{y:.4f}<extra></extra>",
            )
    if winner in by_trial:
        x, y, labels = _chained({winner: by_trial[winner]})
        figure.add_scatter(
            x=x,
            y=y,
            mode="lines+markers",
            name=f"trial {winner}",
            line={"color": WARM, "width": 3},
            text=labels,
            hovertemplate="%{text}, epoch %{x}: %{y:.4f}<extra></extra>",
        )
    figure.update_xaxes(title="epoch", dtick=1 if _longest(by_trial) <= 20 else None)
    figure.update_yaxes(title=metric)
    return figure_of("curves", figure)


def importance(
    shares: Mapping[str, tuple[float, float, float]],
) -> Figure:
    """How much of the score's variation each parameter explains: middle, low and high."""
    names = list(shares)[::-1]
    middle = [shares[name][0] for name in names]
    figure = go.Figure(
        go.Bar(
            x=middle,
            y=names,
            orientation="h",
            marker={"color": ACCENT},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [max(0.0, shares[n][2] - shares[n][0]) for n in names],
                "arrayminus": [max(0.0, shares[n][0] - shares[n][1]) for n in names],
                "color": INK,
                "thickness": 1.2,
            },
            hovertemplate="%{y}: %{x:.2f}<extra></extra>",
        )
    )
    figure.update_xaxes(title="share of the explained variation", range=[0, 1])
    figure.update_yaxes(automargin=True)
    return figure_of("importance", figure, height=110 + 30 * len(names))


def parallel(
    axes: Sequence[tuple[str, Sequence[float], Sequence[tuple[float, str]]]],
    scores: Sequence[float],
    labels: Sequence[str],
    metric: str,
    *,
    maximize: bool,
) -> Figure:
    """Parallel coordinates of completed trials: one line a trial, warm for the best ones.

    `axes` are (name, a position from 0 to 1 for each trial, ticks as (position, text)).
    Drawn with ordinary lines, in a few bands of scores, so that a thousand trials stay light.
    """
    names = [name for name, _, _ in axes]
    order = np.argsort(scores) if maximize else np.argsort(scores)[::-1]
    bands = _bands(order)
    figure = go.Figure()
    for place, band in enumerate(bands):
        share = (place + 1) / len(bands)
        x: list[int | None] = []
        y: list[float | None] = []
        text: list[str] = []
        for trial in band:
            x += [*range(len(names)), None]
            y += [*(float(positions[trial]) for _, positions, _ in axes), None]
            text += [labels[trial]] * (len(names) + 1)
        best = place == len(bands) - 1
        figure.add_scatter(
            x=x,
            y=y,
            mode="lines",
            text=text,
            name=_band(place, len(bands), len(order)),
            line={"color": WARM if best else ACCENT, "width": 1.8 if best else 1},
            opacity=1.0 if best else 0.12 + 0.45 * share,
            hovertemplate="%{text}<extra></extra>",
        )
    for place, (_, _, ticks) in enumerate(axes):
        figure.add_shape(
            type="line", x0=place, x1=place, y0=0, y1=1, line={"color": INK, "width": 1}
        )
        for position, tick in ticks:
            figure.add_annotation(
                x=place,
                y=position,
                text=plain(tick),
                showarrow=False,
                xanchor="left",
                xshift=4,
                font={"size": 10, "color": INK},
                bgcolor="rgba(255,255,255,0.75)",
            )
    figure.update_xaxes(
        tickvals=list(range(len(names))),
        ticktext=[plain(name) for name in names],
        side="top",
        range=[-0.1, len(names) - 0.4],
        showgrid=False,
    )
    figure.update_yaxes(visible=False, range=[-0.06, 1.06])
    drawn = figure_of("parallel", figure, height=440)
    # Above the axes stand their names.
    drawn.spec["layout"]["legend"].update(y=-0.05, yanchor="top", title={"text": f"{metric}  "})
    return drawn


def slices(
    name: str,
    values: Sequence[Any],
    scores: Sequence[float],
    groups: Sequence[str],
    metric: str,
    *,
    logarithmic: bool,
) -> Figure:
    """The score over one parameter, a colour for each backbone."""
    # Few whole numbers or words are choices; a learning rate is a scale however few there are.
    few = len(set(values)) <= FEW and not any(isinstance(v, float) for v in values)
    figure = go.Figure()
    for place, group in enumerate(dict.fromkeys(groups)):
        chosen = [i for i, own in enumerate(groups) if own == group]
        figure.add_scatter(
            x=[str(values[i]) if few else values[i] for i in chosen],
            y=[scores[i] for i in chosen],
            mode="markers",
            name=plain(group),
            marker={"color": PALETTE[place % len(PALETTE)], "size": 7, "opacity": 0.8},
            hovertemplate="%{x}: %{y:.4f}<extra></extra>",
        )
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    kind = "category" if few or not numeric else "log" if logarithmic else "linear"
    order = sorted(set(values)) if numeric else sorted(set(values), key=str)
    figure.update_xaxes(title=plain(name), type=kind, nticks=6)
    if kind == "category":
        figure.update_xaxes(categoryorder="array", categoryarray=[str(v) for v in order])
    figure.update_yaxes(title=metric)
    return figure_of(f"slice-{name}", figure, height=300)


def spent(backbones: Sequence[str], epochs: Mapping[str, Sequence[int]]) -> Figure:
    """Epochs that went into each backbone, by how its trials ended."""
    figure = go.Figure()
    colours = {"complete": ACCENT, "pruned": FAINT, "failed": "#d9a441"}
    for state, counts in epochs.items():
        figure.add_bar(
            y=[plain(name) for name in backbones],
            x=list(counts),
            orientation="h",
            name=state,
            marker={"color": colours.get(state, INK)},
            hovertemplate="%{y}: %{x} epochs<extra></extra>",
        )
    figure.update_layout(barmode="stack")
    figure.update_xaxes(title="epochs")
    figure.update_yaxes(automargin=True, autorange="reversed")
    return figure_of("spent", figure, height=140 + 30 * len(backbones))


def _chained(
    by_trial: Mapping[int, Sequence[EpochRecord]],
) -> tuple[list[int | None], list[float | None], list[str]]:
    """All curves as one line with gaps."""
    x: list[int | None] = []
    y: list[float | None] = []
    labels: list[str] = []
    for number, epochs in by_trial.items():
        x += [*(epoch.epoch for epoch in epochs), None]
        y += [*(epoch.score for epoch in epochs), None]
        labels += [f"trial {number}"] * (len(epochs) + 1)
    return x, y, labels


def _longest(by_trial: Mapping[int, Sequence[EpochRecord]]) -> int:
    return max((epochs[-1].epoch for epochs in by_trial.values() if epochs), default=0)


def standing_out(trials: int) -> str:
    """Which of so many trials stand out among parallel coordinates, as the legend has it."""
    bands = _bands(np.arange(trials))
    return _band(len(bands) - 1, len(bands), trials)


def _bands(order: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    """Trials from worst to best in fifths; of a few, the best one apart."""
    if len(order) >= BANDS:
        return np.array_split(order, BANDS)
    return [part for part in (order[:-1], order[-1:]) if len(part)]


def _band(place: int, bands: int, trials: int) -> str:
    if trials < BANDS:
        return "best trial" if place == bands - 1 else "the others"
    if place == bands - 1:
        return f"best {100 // bands}%"
    return f"{100 * place // bands} to {100 * (place + 1) // bands}%"
