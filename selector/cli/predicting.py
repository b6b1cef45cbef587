"""`predict`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from selector.cli.options import OutputFormat, StoreUrl, StudyName
from selector.cli.output import colour, data, reading, width
from selector.errors import DataError, InputError

if TYPE_CHECKING:
    from selector.records import Prediction, TrialRow
    from selector.reporting import Page

_SHOWN_PATH = 44  # characters of a path in a table; the other formats have all of it

Images = Annotated[
    list[Path], typer.Argument(metavar="PATH...", help="Images, or folders of them.")
]
Trial = Annotated[
    int | None,
    typer.Option("--trial", help="This candidate. Default: the best.", show_default=False),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]


def predict(
    study: StudyName,
    paths: Images,
    trial: Trial = None,
    output: OutputFormat = "table",
    device: Device = "auto",
    store: StoreUrl = None,
) -> None:
    """Label images with a study's best candidate."""
    images = find_images(paths)
    # After the paths, for it takes seconds to import what predicts.
    from selector import reporting
    from selector.environment import choose_device
    from selector.predict import candidate_of, load_predictor
    from selector.settings import load_settings

    with reading(store) as opened:
        chosen = candidate_of(opened, study, trial=trial)
    checkpoint = load_settings().artifacts / str(chosen.checkpoint)
    predictor = load_predictor(checkpoint, device=choose_device(device))
    page = _page(study, chosen, tuple(predictor.predict(images)))
    data(reporting.render(page, output, width=width(), color=colour()))


def find_images(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The image files named, and those below the folders named, in order.

    Raises DataError for everything that is not there or holds no image.
    """
    from selector.data.image import SUFFIXES

    found: list[Path] = []
    problems = []
    for path in paths:
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        if path.is_file():
            found.append(path)
        elif inside:
            found.extend(inside)
        elif path.is_dir():
            problems.append(
                f"{path}: no image in this folder. Known: {', '.join(sorted(SUFFIXES))}."
            )
        else:
            problems.append(f"{path}: no such file or folder. Name images, or folders of images.")
    if problems:
        raise DataError(problems)
    if not found:
        raise InputError("No image is named. Give image files or folders.")
    return tuple(found)


def _page(study: str, candidate: TrialRow, predictions: Sequence[Prediction]) -> Page:
    from selector.reporting import Page, figures
    from selector.reporting.base import Column, FlatTable, ShownTable

    classes = list(predictions[0].probabilities)
    columns = (Column("image"), Column("label"), Column("probability", right=True), Column("then"))
    rows = tuple(
        (
            figures.safe(_end_of(p.path)),
            figures.safe(p.label),
            figures.score(p.probabilities[p.label]),
            figures.safe(_second(p)),
        )
        for p in predictions
    )
    return Page(
        title=f"{study}, trial {candidate.number}: {figures.safe(candidate.backbone)}",
        tables=(ShownTable("", columns, rows),),
        document=lambda: {
            "study": study,
            "trial": candidate.number,
            "backbone": candidate.backbone,
            "predictions": [
                {"path": p.path, "label": p.label, "probabilities": dict(p.probabilities)}
                for p in predictions
            ],
        },
        flat=lambda: FlatTable(
            ("path", "label", *(f"probability.{name}" for name in classes)),
            tuple((p.path, p.label, *p.probabilities.values()) for p in predictions),
        ),
    )


def _end_of(path: str) -> str:
    """The path, or as much of its end as a table has room for."""
    return path if len(path) <= _SHOWN_PATH else f"…{path[1 - _SHOWN_PATH :]}"


def _second(prediction: Prediction) -> str:
    """The runner-up, as `cat 0.1200`."""
    others = {k: v for k, v in prediction.probabilities.items() if k != prediction.label}
    if not others:
        return ""
    name = max(others, key=others.__getitem__)
    return f"{name} {others[name]:.4f}"


COMMANDS: Mapping[str, Callable[..., Any]] = {"predict": predict}
