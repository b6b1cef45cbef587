"""`predict`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from selector.cli.options import OutputFormat, StoreUrl
from selector.cli.output import data, reading, rendered
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
Source = Annotated[
    str, typer.Argument(metavar="STUDY|BUNDLE", help="A study's name, or an exported folder.")
]


def predict(
    source: Source,
    paths: Images,
    trial: Trial = None,
    output: OutputFormat = "table",
    device: Device = "auto",
    store: StoreUrl = None,
) -> None:
    """Label images with a study's best candidate, or with an exported bundle."""
    from selector.data.audit import check_files

    images = find_images(paths)
    check_files(images)
    # After the images, for it takes seconds to import what predicts.
    if (Path(source) / "bundle.json").is_file():
        _refuse_with_bundle(trial, device)
        page = _page(*_bundle_predictions(Path(source), images))
    else:
        page = _page(*_study_predictions(source, images, trial, device, store))
    data(rendered(page, output))


def find_images(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The image files named, and those below the folders named, in order.

    Raises DataError for everything that is not there or holds no image.
    """
    from selector.data.image import SUFFIXES

    found: list[Path] = []
    problems = []
    for path in paths:
        inside = _images_below(path)
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


def _images_below(folder: Path) -> list[Path]:
    """The image files in a folder at any depth: by their endings, without what systems drop."""
    from selector.data.image import SUFFIXES, is_junk

    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and not any(is_junk(part) for part in path.relative_to(folder).parts)
        and path.is_file()
    )


@dataclass(frozen=True, slots=True)
class _Origin:
    """What predicted."""

    study: str
    trial: int
    backbone: str


def _refuse_with_bundle(trial: int | None, device: str) -> None:
    if trial is not None:
        raise InputError("A bundle holds one trial. Leave out --trial, or name a study.")
    if device not in ("auto", "cpu"):
        raise InputError(
            f"A bundle predicts on the CPU, not on '{device}'. Leave out --device, or name a study."
        )


def _bundle_predictions(
    folder: Path, images: Sequence[Path]
) -> tuple[_Origin, tuple[Prediction, ...]]:
    from selector.predict import open_bundle

    predictor = open_bundle(folder)
    about = predictor.classifier.bundle
    origin = _Origin(about["study"], about["trial"], about["backbone"])
    return origin, tuple(predictor.predict(images))


def _study_predictions(
    study: str, images: Sequence[Path], trial: int | None, device: str, store: str | None
) -> tuple[_Origin, tuple[Prediction, ...]]:
    from selector.predict import candidate_of

    with reading(store) as opened:
        chosen = candidate_of(opened, study, trial=trial)
    origin = _Origin(study, chosen.number, chosen.backbone)
    return origin, _predictions(chosen, images, device=device)


def _predictions(
    candidate: TrialRow, images: Sequence[Path], *, device: str
) -> tuple[Prediction, ...]:
    from selector.environment import choose_device
    from selector.predict import load_predictor
    from selector.settings import load_settings
    from selector.training import prepare_process

    # As in training, or the same images could get other probabilities, and much slower.
    prepare_process()
    predictor = load_predictor(
        load_settings().artifacts / str(candidate.checkpoint),
        device=choose_device(device),
        sha256=candidate.checkpoint_sha256,
    )
    return tuple(predictor.predict(images))


def _page(origin: _Origin, predictions: Sequence[Prediction]) -> Page:
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
        title=f"{figures.safe(origin.study)}, trial {origin.trial}: "
        f"{figures.safe(origin.backbone)}",
        tables=(ShownTable("", columns, rows),),
        document=lambda: {
            "study": origin.study,
            "trial": origin.trial,
            "backbone": origin.backbone,
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
