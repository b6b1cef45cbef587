"""The sections about the course of the search, from its history to how to repeat it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from selector.records import AlikePictures, TrialRow
from selector.reporting import figures, proxies
from selector.reporting import history as taken_over
from selector.reporting.base import Column, ShownTable
from selector.reporting.failures import failures_table
from selector.reporting.html import plots_search as plots
from selector.reporting.html.material import Material
from selector.reporting.html.sections import Section
from selector.reporting.study import study_page

STARVED_TRIALS = 3  # completed trials of a backbone below which its best score means little


def history(material: Material) -> Section | None:
    """Every trial's score in the order of the search."""
    scored = [t for t in material.trials if t.score is not None]
    if not scored:
        return None
    study = material.study
    metric = figures.with_arrow(study.metric, study.goal)
    table = ShownTable(
        "",
        (
            Column("trial", right=True),
            Column("state"),
            Column("backbone"),
            Column(metric, right=True),
            Column("epochs", right=True),
            Column("time", right=True),
        ),
        tuple(
            (
                str(t.number),
                t.state,
                figures.safe(t.backbone),
                figures.score(t.score),
                str(t.epochs),
                figures.duration(t.seconds),
            )
            for t in material.trials
        ),
    )
    return Section(
        anchor="history",
        title="How the search went",
        words=("Every trial's best score, in the order in which trials were taken.",),
        figures=(
            plots.history(
                scored,
                metric,
                maximize=study.goal == "maximize",
                last=max(trial.number for trial in material.trials),
            ),
        ),
        tables=(table,),
    )


def curves(material: Material) -> Section | None:
    """The score after each epoch of each trial."""
    if not material.epochs:
        return None
    study, winner = material.study, material.winner
    metric = figures.with_arrow(study.metric, study.goal)
    most = max(epoch.epoch for _, epoch in material.epochs)
    by_trial: dict[int, dict[int, float]] = {}
    for number, epoch in material.epochs:
        by_trial.setdefault(number, {})[epoch.epoch] = epoch.score
    table = ShownTable(
        "",
        (
            Column("trial", right=True),
            *(Column(f"epoch {n}", right=True) for n in range(1, most + 1)),
        ),
        tuple(
            (str(number), *(figures.score(scores.get(n)) for n in range(1, most + 1)))
            for number, scores in by_trial.items()
        ),
    )
    return Section(
        anchor="curves",
        title="Learning curves",
        words=("The score after each epoch. Grey trials were pruned: stopped for being behind.",),
        figures=(
            plots.curves(
                material.trials, material.epochs, metric, winner=winner.number if winner else None
            ),
        ),
        tables=(table,),
    )


def data(material: Material) -> Section | None:
    """What the audit found that does not stop a study, with near duplicates to look at."""
    audit = material.study.data.audit
    groups = (*audit.copies, *audit.near)
    if not groups and not audit.bad and not audit.moved:
        return None
    rows = tuple(
        (
            "copies" if place < len(audit.copies) else "near duplicates",
            "yes" if group.splits_differ else "",
            "yes" if group.labels_differ else "",
            figures.safe(
                ", ".join(f"{n} ({s})" for n, s in zip(group.ids, group.splits, strict=True))
            ),
        )
        for place, group in enumerate(groups)
    )
    columns = (
        Column("kind"),
        Column("several splits"),
        Column("several labels"),
        Column("images"),
    )
    leaking = sum(group.splits_differ for group in groups)
    words = [
        f"{len(audit.copies)} groups of equal images, {len(audit.near)} of near duplicates; "
        f"{leaking} of them lie in several splits."
    ]
    if leaking:
        words.append("What was learnt from one is asked of the other: scores may be too high.")
    words += [f"Moved to train, where their copies are: {len(audit.moved)} images."] * bool(
        audit.moved
    )
    words += [f"Left out, as they cannot be read: {len(audit.bad)} images."] * bool(audit.bad)
    return Section(
        anchor="data",
        title="Images that look alike",
        words=tuple(words),
        groups=material.alike,
        tables=(ShownTable("", columns, rows),) if rows else (),
    )


def backbones(material: Material) -> Section | None:
    """Where the budget went, and which backbones got too little of it."""
    names = sorted({trial.backbone for trial in material.trials})
    if not names:
        return None
    states = ("complete", "pruned", "failed")
    epochs = {state: [_epochs(material.trials, name, state) for name in names] for state in states}
    rows = []
    for name in names:
        own = [t for t in material.trials if t.backbone == name]
        done = [t.score for t in own if t.state == "complete" and t.score is not None]
        best = (max if material.study.goal == "maximize" else min)(done) if done else None
        starved = "starved" if len(done) < STARVED_TRIALS else ""
        rows.append(
            (
                figures.safe(name),
                *(str(sum(t.state == state for t in own)) for state in states),
                str(sum(t.epochs for t in own)),
                figures.duration(sum(t.seconds or 0.0 for t in own)),
                figures.score(best),
                starved,
            )
        )
    columns = (
        Column("backbone"),
        *(Column(state, right=True) for state in states),
        Column("epochs", right=True),
        Column("time", right=True),
        Column("best", right=True),
        Column(""),
    )
    starved_names = [row[0] for row in rows if row[-1]]
    words = ["Where the budget went."]
    if starved_names:
        words.append(
            f"Starved, with fewer than {STARVED_TRIALS} completed trials: "
            f"{', '.join(starved_names)}. Their scores say little about them."
        )
    audit = material.board.proxies
    return Section(
        anchor="backbones",
        title="Budget by backbone",
        words=(*words, *proxies.notes(audit)),
        figures=(plots.spent(names, epochs),),
        tables=(ShownTable("", columns, tuple(rows)), *proxies.tables(audit)),
    )


def earlier(material: Material) -> Section | None:
    """What the study took over from earlier ones, and whether that helped."""
    audit = material.board.history
    if audit is None:
        return None
    return Section(
        anchor="earlier",
        title="Recipes of earlier studies",
        words=taken_over.notes(audit),
        tables=tuple(replace(table, title="") for table in taken_over.tables(audit)),
    )


def failures(material: Material) -> Section | None:
    """The trials that failed, by cause."""
    failed = [trial for trial in material.trials if trial.state == "failed"]
    if not failed:
        return None
    return Section(
        anchor="failures",
        title="Failures",
        words=(f"{len(failed)} trials failed and rank nowhere.",),
        tables=(replace(failures_table(failed), title=""),),
    )


def reproduce(material: Material) -> Section:
    """Command, environment, search space and runs."""
    study = material.study
    page = study_page(study, (), runs=material.runs, counts=material.board.trials)
    environment = dict(material.runs[-1].environment) if material.runs else {}
    packages = environment.pop("packages", {})
    rows = (
        *((str(key), str(value)) for key, value in page.facts),
        *((figures.safe(str(k)), figures.safe(str(v))) for k, v in environment.items() if v),
        *((figures.safe(str(k)), figures.safe(str(v))) for k, v in dict(packages).items()),
    )
    facts = ShownTable("Environment of the last run", (Column("what"), Column("value")), rows)
    command = material.runs[-1].command if material.runs else ""
    return Section(
        anchor="reproduce",
        title="How to reproduce",
        words=("The same command continues or repeats this study; same seed, same trials.",),
        command=figures.safe(command),
        tables=(facts, *page.tables),
    )


def _named(group: AlikePictures) -> str:
    pairs = zip(group.ids, group.splits, strict=True)
    return figures.safe(", ".join(f"{name} ({split})" for name, split in pairs))


def _epochs(trials: Sequence[TrialRow], backbone: str, state: str) -> int:
    return sum(t.epochs for t in trials if t.backbone == backbone and t.state == state)
