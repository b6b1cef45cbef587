"""`list`, `show`, `report`, `compare`: what the store holds, read without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from selector.cli.options import OutputFormat, StoreUrl, StudyName
from selector.cli.output import data, note, reading, rendered
from selector.cli.watching import watching
from selector.errors import InputError, SelectorError

if TYPE_CHECKING:
    from selector.records import Comparison
    from selector.reporting import Page
    from selector.store import Store

SHOWN_PICTURES = 48  # that two candidates disagree on

TrialNumber = Annotated[
    int | None,
    typer.Argument(metavar="[TRIAL]", help="A trial's number.", show_default=False),
]
Metric = Annotated[
    str | None,
    typer.Option(help="Rank by another stored metric.", show_default=False),
]
ComparedBy = Annotated[
    str | None, typer.Option("--metric", help="Compare by another metric.", show_default=False)
]
CandidateName = Annotated[
    str, typer.Argument(metavar="STUDY[:TRIAL]", help="A candidate; a study alone is its best one.")
]
Top = Annotated[
    int | None,
    typer.Option(min=1, help="Show only the best so many.", show_default=False),
]
ReportFormat = Annotated[
    Literal["table", "json", "csv", "md", "html"],
    typer.Option("--format", help="What to write; html is one file that works offline."),
]
OutputFile = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help="Write to this file instead.", show_default=False
    ),
]


def list_studies(output: OutputFormat = "table", store: StoreUrl = None) -> None:
    """List the studies of the store, with the best score of each."""
    from selector.reporting import studies_page

    with reading(store) as opened:
        data(rendered(studies_page(opened.studies()), output))


def show(
    study: StudyName,
    trial: TrialNumber = None,
    output: OutputFormat = "table",
    store: StoreUrl = None,
) -> None:
    """Show one study with all its trials and failures, or one trial with its epochs."""
    with reading(store) as opened:
        page = _study(opened, study) if trial is None else _trial(opened, study, trial)
    data(rendered(page, output))


def report(
    study: StudyName,
    metric: Metric = None,
    top: Top = None,
    output: ReportFormat = "table",
    file: OutputFile = None,
    store: StoreUrl = None,
) -> None:
    """Rank the candidates of a study, with intervals and ties."""
    from selector.reporting.ranking import rank

    with reading(store) as opened, watching(quiet=False) as observe:
        if output == "html":
            if top is not None:
                raise InputError("--top has no meaning for html, which shows all candidates.")
            _write(_html(opened, study, metric=metric), file)
            return
        board = rank(opened, study, metric=metric, observe=observe)
    if top is not None:
        board = replace(board, candidates=board.candidates[:top])
    _write(rendered(board, output), file)


def _html(store: Store, name: str, *, metric: str | None) -> str:
    """The HTML report, with pictures of the pick's errors where data and weights are here."""
    from selector.reporting import html
    from selector.reporting.pick import pick_of
    from selector.reporting.ranking import rank
    from selector.settings import load_settings

    settings = load_settings()
    board = rank(store, name, metric=metric)
    missing = ""
    shown = pick_of(board)
    if shown is not None:
        from selector.explain import draw_alike, draw_errors
        from selector.predict import candidate_of

        note("Drawing pictures ...")
        try:
            draw_alike(store, name, settings=settings)
            chosen = candidate_of(store, name, trial=shown.trial)
            draw_errors(store, name, chosen, settings=settings)
        except SelectorError as error:
            # The rest of the report needs the store alone, which may be all that is here.
            missing = str(error).partition("\n")[0]
    material = html.gather(
        store, name, artifacts=settings.artifacts, metric=metric, pictures_missing=missing
    )
    return html.write(material)


def _write(text: str, file: Path | None) -> None:
    if file is None:
        data(text)
        return
    try:
        file.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"--output {file}: {error.strerror or error}.") from error
    note(f"Wrote {file}")


def compare(
    a: CandidateName,
    b: CandidateName,
    metric: ComparedBy = None,
    output: ReportFormat = "table",
    file: OutputFile = None,
    store: StoreUrl = None,
) -> None:
    """Compare two candidates on the same data: which is better, and where they disagree."""
    from selector.reporting import compare_stored, comparison_page

    with reading(store) as opened:
        found = compare_stored(opened, a, b, metric=metric)
        if output == "html":
            _write(_comparison_html(opened, found), file)
            return
    _write(rendered(comparison_page(found), output), file)


def _comparison_html(store: Store, found: Comparison) -> str:
    """The comparison with pictures of what they disagree on, where the data is here."""
    from selector.explain import draw_samples
    from selector.reporting import html
    from selector.settings import load_settings

    names = [each.sample for each in found.disagreements[:SHOWN_PICTURES]]
    try:
        pictures = draw_samples(store, found.a.study, names, settings=load_settings())
    except SelectorError as error:
        missing = str(error).partition("\n")[0]
        return html.write_comparison(found, {}, pictures_missing=missing)
    return html.write_comparison(found, pictures)


def _study(store: Store, name: str) -> Page:
    from selector.outcome import standings, verdict
    from selector.reporting import study_page
    from selector.reporting.ranking import audit, history

    study, trials = store.require_study(name), store.trials(name)
    openings = store.openings_of_data(name)
    return study_page(
        study,
        trials,
        runs=store.runs(name),
        counts=store.counts(name),
        audit=audit(store, study, trials),
        taken_over=history(store, study, trials),
        standings=standings(store, study, trials),
        verdict=verdict(store, study, trials, openings),
        openings=openings,
        costs=store.costs(name),
        state=store.state(name),
    )


def _trial(store: Store, name: str, number: int) -> Page:
    from selector.reporting import trial_page

    study = store.require_study(name)
    rows = {row.number: row for row in store.trials(name)}
    if number not in rows:
        known = f"0 to {max(rows)}" if rows else "none yet"
        raise InputError(f"Study '{name}' has no trial {number}. Trials: {known}.")
    return trial_page(
        study,
        rows[number],
        epochs=[epoch for trial, epoch in store.epochs(name) if trial == number],
        class_scores=store.class_scores(name, number),
    )


COMMANDS: Mapping[str, Callable[..., Any]] = {
    "list": list_studies,
    "show": show,
    "report": report,
    "compare": compare,
}
