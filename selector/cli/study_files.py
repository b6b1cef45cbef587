"""`init`, `validate`, `schema`: everything about the study file itself."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from selector.cli.options import Overrides, StudyFile
from selector.cli.output import data, note, width
from selector.cli.watching import watching
from selector.errors import ConflictError, InputError

if TYPE_CHECKING:
    from selector.data import Dataset
    from selector.records import NetworkCost
    from selector.spec import StudySpec

_SIZES_LOOKED_AT = 64  # images

Images = Annotated[
    Path, typer.Argument(metavar="IMAGES", help="A folder of images, a .csv or a .parquet listing.")
]
Output = Annotated[Path, typer.Option("--output", "-o", help="The study file to write.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite the study file.")]
SpecFormat = Annotated[Literal["yaml", "json"], typer.Option("--format", help="How to print it.")]


def init(images: Images, output: Output = Path("study.yaml"), force: Force = False) -> None:
    """Write a commented study file for your images."""
    if output.exists() and not force:
        raise ConflictError(
            f"'{output}' exists. Choose another --output, or --force overwrites it."
        )
    if not output.absolute().parent.is_dir():
        raise InputError(f"The folder of '{output}' does not exist. Create it first.")
    output.write_text(_draft(images, output), encoding="utf-8")
    note(f"Wrote {output}. Look through it, then: selector run {output}")


def validate(file: StudyFile, overrides: Overrides = None, output: SpecFormat = "yaml") -> None:
    """Check a study file with its data, backbones, sampler and pruner; print it with defaults.

    What the audit of the data found goes to standard error; JSON holds the study and the findings.
    """
    from selector.admission import measured, within_limits
    from selector.cli import data_findings
    from selector.preflight import load_prepared
    from selector.spec import to_plain, to_yaml

    with watching(quiet=False) as observe:
        prepared = load_prepared(file, overrides=overrides or (), observe=observe)
        costs = measured(prepared, observe=observe)
        _show_costs(prepared.spec, costs)
        within_limits(prepared, costs, observe=observe)
    spec, summary = prepared.spec, prepared.dataset.summary
    for line in data_findings.finding_lines(summary):
        note(line)
    if output == "yaml":
        data(to_yaml(spec))
        return
    document = {"study": to_plain(spec), "data": data_findings.document(summary)}
    data(json.dumps(document, indent=2))


def schema() -> None:
    """Print the JSON Schema of the study file, for editors that complete and check."""
    from selector import executors, metrics, writers
    from selector.search import pruners, samplers
    from selector.spec import json_schema

    members = {
        "sampler": samplers.NAMES,
        "pruner": pruners.NAMES,
        "writers": writers.NAMES,
        "executor": executors.NAMES,
        "metric": metrics.names(),
    }
    data(json.dumps(json_schema(members=members), indent=2))


def _show_costs(spec: StudySpec, costs: Sequence[NetworkCost]) -> None:
    """What networks cost beside what they may; on standard error, for the study is the data."""
    from selector import reporting
    from selector.reporting.base import FlatTable, Page
    from selector.reporting.costs import costs_table

    if costs:
        page = Page(
            title=f"Costs of study {spec.name}",
            tables=(costs_table(costs, spec.limits),),
            document=dict,
            flat=lambda: FlatTable((), ()),
        )
        note(reporting.render(page, width=width()))


def _draft(images: Path, output: Path) -> str:
    from selector import data as images_of
    from selector.events import DataProgress
    from selector.settings import load_settings
    from selector.spec import draft_study
    from selector.spec.draft import BACKBONES
    from selector.spec.schema import DataSpec

    with watching(quiet=False) as observe:
        dataset = images_of.inspect(
            # Only classes and sizes are wanted; what is wrong with the images, `validate` says.
            DataSpec(
                path=str(images.absolute()), on_duplicates="move_to_train", on_bad_image="skip"
            ),
            base=Path.cwd(),
            cache=load_settings().cache,
            progress=lambda done, total, label: observe(
                DataProgress(done=done, total=total, label=label)
            ),
        )
    per_class, bad = dataset.summary.class_counts, dataset.summary.audit.bad
    if bad:
        more = f" Likewise {len(bad) - 1} more." if len(bad) > 1 else ""
        note(f"{bad[0]}{more} Or leave such images out: on_bad_image in {output}.")
    return draft_study(
        images.absolute().stem,
        _path_from(output.absolute().parent, images.absolute()),
        class_names=dataset.class_names,
        counts={name: sum(splits.values()) for name, splits in per_class.items()},
        image_side=_typical_side(dataset),
        backbones=_installed() or BACKBONES,
        bad_images=len(bad),
    )


def _path_from(folder: Path, images: Path) -> str:
    """The images as the study file names them: relative where both lie together."""
    relative = Path(os.path.relpath(images, folder))
    return str(images) if relative.parts[:2] == ("..", "..") else str(relative)


def _typical_side(dataset: Dataset) -> int:
    """The median shorter side of a few images, in pixels."""
    step = max(1, len(dataset.samples) // _SIZES_LOOKED_AT)
    looked_at = range(0, len(dataset.samples), step)
    return round(statistics.median(min(dataset.images.load(i).image.size) for i in looked_at))


def _installed() -> Sequence[str]:
    """Backbones whose weights a package on this machine carries: they need no network."""
    from selector import backbones
    from selector.errors import UnavailableError

    found = []
    for name in ("bundled:efficientnet_lite0", "bundled:mobilenet_v2"):
        try:
            backbones.check(name)
        except UnavailableError:
            continue
        found.append(name)
    return found


COMMANDS: Mapping[str, Callable[..., Any]] = {"init": init, "validate": validate, "schema": schema}
