"""The `selector` program: its commands, its exit codes, its errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from selector.cli import (
    championing,
    database,
    diagnosis,
    exporting,
    freeing,
    predicting,
    results,
    running,
    scheduling,
    sealing,
    serving,
    stopping,
    study_files,
)
from selector.cli.options import GlobalLogFormat
from selector.cli.output import explain, note, use_log_format
from selector.errors import SelectorError
from selector.interrupts import leave, owned_process

INTERRUPTED = 130  # as a shell reports a program that Ctrl-C ended
TERMINATED = 143  # and one that SIGTERM ended


class Commands(TyperGroup):
    """The commands; an error raised on purpose ends as a message and its exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; whatever is no SelectorError passes, with Python's traceback."""
        try:
            with owned_process():
                return super().invoke(ctx)
        except SelectorError as error:
            explain(error)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            note("Stopped.")
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    name="selector",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Find the best fine-tuned network for your images, and show how sure that is.",
    epilog="Start with: selector init FOLDER, then selector run study.yaml.",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code."""
    try:
        app(args=None if arguments is None else list(arguments), prog_name="selector")
    except SystemExit as end:
        if end.code in (INTERRUPTED, TERMINATED):
            leave(end.code)
        raise


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("selector-finetune"))
        raise typer.Exit


@app.callback()
def _selector(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
    log_format: GlobalLogFormat = "text",
) -> None:
    del version  # printed by its callback
    use_log_format(log_format)


for group in (
    study_files,
    running,
    results,
    sealing,
    exporting,
    championing,
    predicting,
    freeing,
    scheduling,
    stopping,
    serving,
    diagnosis,
):
    for name, command in group.COMMANDS.items():
        app.command(name)(command)
app.add_typer(database.app, name="db")
