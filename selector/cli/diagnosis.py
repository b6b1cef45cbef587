"""`doctor`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from selector.cli.options import OutputFormat, StoreUrl
from selector.cli.output import data, rendered
from selector.errors import UnavailableError

if TYPE_CHECKING:
    from selector.doctor import Finding
    from selector.reporting import Page


def doctor(output: OutputFormat = "table", store: StoreUrl = None) -> None:
    """Look at everything a run needs: packages, device, store, folders, weights."""
    from selector.doctor import examine

    findings = examine(store=store)
    data(rendered(_page(findings), output))
    if any(finding.status == "problem" for finding in findings):
        raise typer.Exit(UnavailableError.exit_code)


def _page(findings: Sequence[Finding]) -> Page:
    from selector.reporting import Page, figures
    from selector.reporting.base import Column, FlatTable, ShownTable

    problems = sum(finding.status == "problem" for finding in findings)
    rows = tuple((f.status, figures.safe(f.name), figures.safe(f.value)) for f in findings)
    advice = tuple(f"{f.name}: {figures.safe(f.advice)}" for f in findings if f.advice)
    verdict = "All that a run needs is here."
    if problems:
        verdict = f"{problems} problem{'s stop' if problems > 1 else ' stops'} a run."
    names = ("name", "status", "value", "advice")
    return Page(
        title="This machine",
        tables=(ShownTable("", (Column(""), Column("what"), Column("found")), rows),),
        notes=(*advice, verdict),
        document=lambda: [{name: getattr(f, name) for name in names} for f in findings],
        flat=lambda: FlatTable(
            names, tuple((f.name, f.status, f.value, f.advice) for f in findings)
        ),
    )


COMMANDS: Mapping[str, Callable[..., Any]] = {"doctor": doctor}
