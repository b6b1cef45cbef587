"""`unseal`: the only way to the test split."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from selector.cli.options import OutputFormat, Quiet, StoreUrl, StudyName
from selector.cli.output import data, reading, rendered
from selector.cli.watching import watching

Trial = Annotated[
    int | None,
    typer.Option("--trial", help="This candidate. Default: the pick.", show_default=False),
]
Why = Annotated[
    str | None, typer.Option(help="The reason, shown in every later report.", show_default=False)
]
Again = Annotated[bool, typer.Option("--again", help="Open it although it was opened before.")]
Folder = Annotated[
    Path | None,
    typer.Option(
        help="Where relative paths of the data start. Default: the folder of the last run's "
        "study file.",
        show_default=False,
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]


def unseal(
    study: StudyName,
    trial: Trial = None,
    why: Why = None,
    again: Again = False,
    folder: Folder = None,
    device: Device = "auto",
    output: OutputFormat = "table",
    quiet: Quiet = False,
    store: StoreUrl = None,
) -> None:
    """Open the test split: score the pick and the reference on it, once.

    Search and finals cannot read it. Every opening is kept with time, user and reason, and is
    shown in every later report; a second one is refused without --again.
    """
    from selector import reporting

    with reading(store) as opened, watching(quiet=quiet) as observe:
        # Inside, for it takes seconds to import what predicts.
        from selector.sealed import open_test_split

        opening = open_test_split(
            opened,
            study,
            trial=trial,
            why=why,
            again=again,
            folder=folder,
            device=device,
            observe=observe,
        )
        page = reporting.opening_page(opened.require_study(study), opening)
    data(rendered(page, output))


COMMANDS: Mapping[str, Callable[..., Any]] = {"unseal": unseal}
