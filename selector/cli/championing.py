"""`renew`, `champion`, `promote`, `rollback`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from selector.cli.options import (
    Base,
    Format,
    OutputFormat,
    Overrides,
    Quiet,
    StoreUrl,
    StudyFile,
    StudyName,
)
from selector.cli.output import data, reading, rendered
from selector.cli.watching import watching
from selector.errors import InputError, UnavailableError

if TYPE_CHECKING:
    from selector.records import Promotion
    from selector.store import Store

Accept = Annotated[
    bool,
    typer.Option("--accept", help="Swap also where champion and challenger cannot be compared."),
]
OnlyPath = Annotated[
    bool, typer.Option("--path", help="Print the bundle's folder and nothing else.")
]
WholeHistory = Annotated[
    bool, typer.Option("--history", help="Show every decision, the latest first.")
]
Trial = Annotated[
    int | None,
    typer.Option("--trial", help="This candidate. Default: the pick.", show_default=False),
]
Reason = Annotated[
    str | None, typer.Option(help="The reason, shown in the history.", show_default=False)
]


def renew(
    file: StudyFile,
    overrides: Overrides = None,
    accept: Accept = False,
    output: OutputFormat = "table",
    quiet: Quiet = False,
    store: StoreUrl = None,
) -> None:
    """Search again where the data changed, and swap the champion if it is beaten beyond noise.

    What a schedule does each time. Ends with exit code 1 where a person has to decide.
    """
    with watching(quiet=quiet) as observe:
        # Inside, for it takes seconds to import what trains.
        from selector.renewal import renew as renew_study

        found = renew_study(
            file, overrides=overrides or [], store=store, observe=observe, accept=accept
        )
    from selector.records import UNDECIDED
    from selector.reporting import renewal_page
    from selector.settings import load_settings

    data(rendered(renewal_page(found, artifacts=load_settings().artifacts), output))
    if found.outcome == "undecided":
        raise typer.Exit(UNDECIDED)


def champion(
    study: StudyName,
    path: OnlyPath = False,
    history: WholeHistory = False,
    output: OutputFormat = "table",
    store: StoreUrl = None,
) -> None:
    """Show what is shipped now: the bundle of the champion, since when, and why."""
    from selector.reporting import champion_page, history_page
    from selector.settings import load_settings

    artifacts = load_settings().artifacts
    with reading(store) as opened:
        decisions = _decisions(opened, study)
    if path:
        folder = decisions[-1].champion.folder(artifacts)
        if not folder.is_dir():
            raise UnavailableError(
                f"The bundle '{folder}' is not on this machine. Set SELECTOR_ARTIFACTS to the "
                "folder that it was made in, or copy it here."
            )
        data(str(folder))
    elif history:
        data(rendered(history_page(decisions), output))
    else:
        data(rendered(champion_page(decisions, artifacts=artifacts), output))


def promote(
    study: StudyName,
    trial: Trial = None,
    reason: Reason = None,
    base: Base = None,
    output: OutputFormat = "table",
    store: StoreUrl = None,
) -> None:
    """Make a candidate the champion by hand, once its bundle has passed the parity gate."""
    with reading(store) as opened:
        from selector.promotion import promote as promote_candidate

        done = promote_candidate(opened, study, trial=trial, reason=reason, base=base)
        _print_present(opened, done.name, output)


def rollback(
    study: StudyName,
    reason: Reason = None,
    output: OutputFormat = "table",
    store: StoreUrl = None,
) -> None:
    """Go back to the champion before the present one."""
    with reading(store) as opened:
        from selector.promotion import rollback as roll_back

        done = roll_back(opened, study, reason=reason)
        _print_present(opened, done.name, output)


def _decisions(store: Store, study: str) -> tuple[Promotion, ...]:
    """All decisions of a study's family; InputError where there is no champion yet."""
    family = store.champions.family_of(study)
    decisions = store.champions.decisions(family)
    if not decisions:
        store.require_study(study)
        known = ", ".join(store.champions.families())
        raise InputError(
            f"Study '{study}' has no champion yet. Make one: selector renew FILE, or selector "
            f"promote {study}." + (f" Champions: {known}." if known else "")
        )
    return decisions


def _print_present(store: Store, family: str, output: Format) -> None:
    from selector.reporting import champion_page
    from selector.settings import load_settings

    decisions = store.champions.decisions(family)
    data(rendered(champion_page(decisions, artifacts=load_settings().artifacts), output))


COMMANDS: Mapping[str, Callable[..., Any]] = {
    "renew": renew,
    "champion": champion,
    "promote": promote,
    "rollback": rollback,
}
