"""The plan of a study as a page."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from selector.cli import wording
from selector.reporting import Page, figures
from selector.reporting.base import Column, FlatTable, ShownTable, present
from selector.reporting.costs import costs_table

if TYPE_CHECKING:
    from selector.plan import Plan


def plan_page(plan: Plan) -> Page:
    """What will be tried first, and what it costs at most."""
    return Page(
        title=f"Plan of study {figures.safe(plan.study)}",
        facts=_facts(plan),
        tables=present(costs_table(plan.costs, plan.limits), _first_trials(plan), _probes(plan)),
        notes=("Nothing was stored. Time and disk are those of a study without any pruning.",),
        document=lambda: {
            **dataclasses.asdict(plan),
            "limits": plan.limits.model_dump(),
        },
        flat=lambda: _flat(plan),
    )


def _facts(plan: Plan) -> tuple[tuple[str, str], ...]:
    sizes = ", ".join(f"{count:,} {split}" for split, count in plan.counts.items())
    limit = f", but {figures.duration(plan.time_limit)} at most" if plan.time_limit else ""
    memory = wording.size(plan.device_bytes) if plan.device_bytes else "not counted on this device"
    return (
        ("metric", plan.metric),
        ("data", f"{sizes} images in {plan.classes} classes"),
        ("budget", f"{plan.trials} trials of at most {plan.epochs} epochs"),
        ("space", _space(plan)),
        ("device", figures.safe(plan.device)),
        ("finals", _finals(plan)),
        ("time", f"about {figures.duration(plan.seconds)}{limit}"),
        (
            "disk",
            f"{wording.size(plan.checkpoint_bytes)} of checkpoints, "
            f"{wording.size(plan.cache_bytes)} of decoded images",
        ),
        ("memory", memory),
    )


def _finals(plan: Plan) -> str:
    if not plan.final_runs:
        return "none"
    return f"up to {plan.final_runs} runs, about {figures.duration(plan.final_seconds)} on top"


def _space(plan: Plan) -> str:
    """What is searched, and how much of it there is."""
    if not plan.searched:
        return "nothing is searched"
    names = ", ".join(plan.searched)
    if plan.combinations is None:
        return f"{names}; continuous: {', '.join(plan.continuous)}"
    return f"{names}: {plan.combinations:,} combinations"


def _first_trials(plan: Plan) -> ShownTable:
    # What every planned trial has alike says nothing; it stands in the study file.
    names = list({name: None for trial in plan.first_trials for name in trial.params})
    columns = (
        Column("trial", right=True),
        Column("origin"),
        *(Column(name, right=name != "backbone", drop=i) for i, name in enumerate(names)),
    )
    rows = tuple(
        (str(i), trial.origin, *(figures.value(trial.params.get(name)) for name in names))
        for i, trial in enumerate(plan.first_trials)
    )
    return ShownTable("First trials", columns, rows)


def _probes(plan: Plan) -> ShownTable:
    columns = (
        Column("backbone"),
        Column("freeze", right=True),
        Column("batch", right=True, drop=2),
        Column("px", right=True, drop=1),
        Column("one epoch", right=True),
        Column("trained M", right=True),
        Column("memory", right=True),
    )
    rows = tuple(
        (
            figures.safe(probe.backbone),
            str(probe.freeze_depth),
            str(probe.batch_size),
            str(probe.image_size),
            figures.duration(probe.epoch_seconds),
            figures.millions(probe.trained_parameters),
            wording.size(probe.peak_bytes) if probe.peak_bytes else figures.MISSING,
        )
        for probe in plan.probes
    )
    return ShownTable("Measured", columns, rows)


def _flat(plan: Plan) -> FlatTable:
    names = tuple(field.name for field in dataclasses.fields(plan.probes[0]))
    rows = tuple(tuple(getattr(probe, name) for name in names) for probe in plan.probes)
    return FlatTable(names, rows)
