"""The sections about hyperparameters: what mattered, and where the good values lie."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from selector.records import TrialRow
from selector.reporting import figures
from selector.reporting.base import Column, ShownTable
from selector.reporting.html import importance as importances
from selector.reporting.html import plots_search as plots
from selector.reporting.html.material import Material
from selector.reporting.html.sections import Section


def importance(material: Material) -> Section | None:
    """How much each hyperparameter mattered, and how sure that is."""
    complete = _complete(material)
    if not complete:
        return None
    shares = importances.importances(
        complete, goal=material.study.goal, logarithmic=_logarithmic(material.study.spec)
    )
    if not shares:
        return Section(
            anchor="importance",
            title="What mattered",
            words=(
                f"Not enough trials: {len(complete)} completed, and below {importances.ENOUGH} the "
                "importance of hyperparameters is mostly chance.",
            ),
        )
    table = ShownTable(
        "",
        (Column("parameter"), Column("importance", right=True), Column("5% to 95%", right=True)),
        tuple(
            (figures.safe(name), f"{middle:.2f}", f"{low:.2f}–{high:.2f}")
            for name, (middle, low, high) in shares.items()
        ),
    )
    return Section(
        anchor="importance",
        title="What mattered",
        words=(
            "How much each hyperparameter sets the best tenth of the trials apart (PED-ANOVA). "
            "The lines show how much that moves when the trials are drawn anew: where they are "
            "long, believe little.",
        ),
        figures=(plots.importance(shares),),
        tables=(table,),
    )


def parallel(material: Material) -> Section | None:
    """All completed trials as lines over their hyperparameters."""
    complete = _complete(material)
    names = importances.searched(complete)
    if len(complete) < 2 or not names:
        return None
    study = material.study
    metric = figures.with_arrow(study.metric, study.goal)
    logarithmic = _logarithmic(study.spec)
    axes = [_axis(name, [t.params[name] for t in complete], name in logarithmic) for name in names]
    scores = [float(t.score or 0.0) for t in complete]
    axes.append(_axis(metric, scores, False))
    return Section(
        anchor="parallel",
        title="Parallel coordinates",
        words=(f"One line a completed trial; in red the {plots.standing_out(len(complete))}.",),
        figures=(
            plots.parallel(
                axes,
                scores,
                [f"trial {t.number}: {figures.score(t.score)}" for t in complete],
                metric,
                maximize=study.goal == "maximize",
            ),
        ),
        tables=(_params_table(complete, names, metric),),
    )


def slices(material: Material) -> Section | None:
    """The score over one hyperparameter at a time."""
    complete = _complete(material)
    names = [name for name in importances.searched(complete) if name != "backbone"]
    if len(complete) < 2 or not names:
        return None
    study = material.study
    metric = figures.with_arrow(study.metric, study.goal)
    logarithmic = _logarithmic(study.spec)
    drawn = tuple(
        plots.slices(
            name,
            [t.params[name] for t in complete],
            [float(t.score or 0.0) for t in complete],
            [t.backbone for t in complete],
            metric,
            logarithmic=name in logarithmic,
        )
        for name in names
    )
    return Section(
        anchor="slices",
        title="Slices",
        words=(
            "The score over one hyperparameter at a time. The table is that of the lines above.",
        ),
        figures=drawn,
    )


def _complete(material: Material) -> list[TrialRow]:
    return [t for t in material.trials if t.state == "complete" and t.score is not None]


def _logarithmic(spec: Mapping[str, Any]) -> frozenset[str]:
    """The parameters that the study searches on a logarithmic scale."""
    search = spec.get("search", {})
    return frozenset(
        name
        for name, domain in search.items()
        if isinstance(domain, Mapping) and ("log_uniform" in domain or domain.get("log"))
    )


def _axis(
    name: str, values: Sequence[Any], logarithmic: bool
) -> tuple[str, list[float], list[tuple[float, str]]]:
    """Positions from 0 to 1, and a few ticks."""
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    if not numeric or len(set(values)) <= 4:
        order = sorted(set(values)) if numeric else sorted(set(values), key=str)
        spread = max(1, len(order) - 1)
        place = {value: i / spread for i, value in enumerate(order)}
        ticks = [(place[value], _short(value)) for value in order]
        return name, [place[value] for value in values], ticks
    raw = np.array(values, dtype=np.float64)
    scaled = np.log(raw) if logarithmic and (raw > 0).all() else raw
    low, high = float(scaled.min()), float(scaled.max())
    width = high - low or 1.0
    ticks = []
    for share in (0.0, 0.5, 1.0):
        at = low + share * width
        ticks.append((share, f"{math.exp(at) if scaled is not raw else at:.3g}"))
    return name, ((scaled - low) / width).tolist(), ticks


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    text = str(value)
    return text.rpartition(":")[2] if ":" in text else text


def _params_table(trials: Sequence[TrialRow], names: Sequence[str], metric: str) -> ShownTable:
    columns = (
        Column("trial", right=True),
        *(Column(figures.safe(name), right=True) for name in names),
        Column(metric, right=True),
    )
    rows = tuple(
        (
            str(t.number),
            *(figures.value(t.params[name]) for name in names),
            figures.score(t.score),
        )
        for t in trials
    )
    return ShownTable("", columns, rows)
