"""Options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Format = Literal["table", "json", "csv", "md"]

StudyFile = Annotated[Path, typer.Argument(metavar="FILE", help="The study file.")]
StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="The study's name.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Replace a value of the study file, such as search.lr=1e-3. Repeatable.",
        show_default=False,
    ),
]
StoreUrl = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        help="The store. Default: SELECTOR_STORE, or sqlite:///selector.db.",
        show_default=False,
    ),
]
OutputFormat = Annotated[Format, typer.Option("--format", help="What to print on standard output.")]
