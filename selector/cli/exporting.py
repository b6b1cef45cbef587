"""`export`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from selector.cli.options import Base, StoreUrl, StudyName
from selector.cli.output import data, note, reading
from selector.errors import InputError, LimitsUnmetError

Trial = Annotated[
    int | None,
    typer.Option("--trial", help="This candidate. Default: the best.", show_default=False),
]
BundleFormat = Annotated[
    Literal["safetensors", "torch_export", "onnx"],
    typer.Option("--format", help="What the network is written as."),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        metavar="DIR",
        help="The bundle's folder. Default: STUDY-trial-NUMBER-FORMAT.",
        show_default=False,
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace an earlier bundle.")]
Decision = Annotated[
    str | None,
    typer.Option(
        "--threshold",
        metavar="NUMBER|tune",
        help="Of two classes: the probability that decides. Default: the study's.",
        show_default=False,
    ),
]


def export(
    study: StudyName,
    trial: Trial = None,
    fmt: BundleFormat = "safetensors",
    output: Output = None,
    force: Force = False,
    threshold: Decision = None,
    base: Base = None,
    store: StoreUrl = None,
) -> None:
    """Write a candidate as a folder that predicts by itself, and check that it does."""
    from selector.exporters.export import ExportOptions
    from selector.exporters.export import export as write

    options = ExportOptions(
        trial=trial,
        fmt=fmt,
        output=output,
        force=force,
        threshold=None if threshold is None else _read_threshold(threshold),
        base=base,
    )
    with reading(store) as opened:
        made = write(opened, study, options)
    parity = made.parity
    note(
        f"Parity gate passed: {parity.metric} {parity.score:.4f} of {parity.images} raw images in "
        f"a fresh process, {parity.stored_score:.4f} stored; {parity.latency_ms:.1f} ms an image "
        f"(CPU, {parity.threads} thread{'' if parity.threads == 1 else 's'}), "
        f"{parity.file_bytes / 1e6:.1f} MB."
    )
    if made.unchecked is not None:
        note(made.unchecked)
    data(str(made.path))
    if made.unmet:
        raise LimitsUnmetError(
            f"What was exported exceeds the limits of study '{study}': {', '.join(made.unmet)}. "
            "The bundle is complete; export another candidate with --trial, or raise the limit."
        )


def _read_threshold(text: str) -> float | Literal["tune"]:
    if text == "tune":
        return "tune"
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise InputError(f"--threshold '{text}': allowed are tune and numbers between 0 and 1.")
    return value


COMMANDS: Mapping[str, Callable[..., Any]] = {"export": export}
