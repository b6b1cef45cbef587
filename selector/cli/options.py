"""Options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from selector.cli.output import LogFormat

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
GlobalLogFormat = Annotated[
    LogFormat,
    typer.Option(
        "--log-format",
        envvar="SELECTOR_LOG_FORMAT",
        help="How progress, remarks and errors are written on standard error.",
    ),
]
OwnLogFormat = Annotated[  # the same after the command's name, for it runs for long
    LogFormat | None,
    typer.Option(
        "--log-format",
        help="How progress, remarks and errors are written. Default: SELECTOR_LOG_FORMAT, or text.",
        show_default=False,
    ),
]
MetricsPort = Annotated[
    int | None,
    typer.Option(
        "--metrics-port",
        min=0,
        max=65535,
        help="Serve Prometheus metrics of this process there; 0 takes a free port. "
        "Default: SELECTOR_METRICS_PORT, or not at all.",
        show_default=False,
    ),
]
Base = Annotated[
    Path | None,
    typer.Option(
        "--base",
        metavar="DIR",
        help="Where the study file's relative paths start. Default: as in the last run.",
        show_default=False,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
OutputFormat = Annotated[Format, typer.Option("--format", help="What to print on standard output.")]
