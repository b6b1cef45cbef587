"""TensorBoard: curves, parameters and final metrics, a folder a trial."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selector.records import Scalar
from selector.writers.base import Desk, Options, Writer, Written
from selector.writers.options import read_options, require

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "_tensorboard"  # below the artifacts; no study is called so
SCORE = "epoch/score"


class TensorBoardOptions(Options):
    """`folder`: where the event files go; by default below the artifacts."""

    folder: str | None = None


class TensorBoard:
    """Event files, which `tensorboard --logdir` shows."""

    def check(self, options: Mapping[str, Any]) -> None:
        """Its option is `folder`; it needs the package tensorboard."""
        read_options("tensorboard", TensorBoardOptions, options)
        require("tensorboard", extra="tensorboard")

    def open(self, desk: Desk, options: Mapping[str, Any]) -> Writer:
        """Writes below `FOLDER/STUDY.LINEAGE`."""
        import torch.utils.tensorboard  # noqa: F401 - seconds that are no trial's own

        read = read_options("tensorboard", TensorBoardOptions, options)
        home = desk.folder / FOLDER if read.folder is None else desk.base / read.folder
        return _EventFiles(home / f"{desk.study}.{desk.lineage}")


class _EventFiles:
    def __init__(self, home: Path) -> None:
        self._home = home
        self._open: dict[Written, tuple[SummaryWriter, int, Mapping[str, Scalar]]] = {}

    def begin(self, trial: Written, params: Mapping[str, Scalar]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder = self._home / trial.name
        last = _last_epoch(folder)
        writer = SummaryWriter(folder)
        if last == 0:
            writer.add_text("params", f"```\n{json.dumps(dict(params), indent=1)}\n```")
        writer.flush()
        self._open[trial] = writer, last, params

    def epoch(self, trial: Written, epoch: int, values: Mapping[str, float]) -> None:
        writer, last, params = self._open[trial]
        if epoch <= last:
            return  # written before the trial was stopped, and trained again since
        for name, value in values.items():
            writer.add_scalar(f"epoch/{name}", value, epoch)
        writer.flush()  # a process that is killed loses nothing
        self._open[trial] = writer, epoch, params

    def end(self, trial: Written, state: str, metrics: Mapping[str, float]) -> None:
        writer, last, params = self._open.pop(trial)
        final = {f"final/{name}": value for name, value in metrics.items()}
        writer.add_text("state", state)
        # In the trial's own folder, where its curves are; by default in one named by the time.
        writer.add_hparams(dict(params), final, run_name=".", global_step=last)
        writer.close()

    def close(self) -> None:
        for writer, _, _ in self._open.values():
            writer.close()
        self._open.clear()


def _last_epoch(folder: Path) -> int:
    """The last epoch that is in the folder's event files; 0 where there is none."""
    if not folder.is_dir():
        return 0
    from tensorboard.backend.event_processing.event_accumulator import (
        SCALARS,
        EventAccumulator,
    )

    found = EventAccumulator(str(folder), size_guidance={SCALARS: 0})
    found.Reload()
    if SCORE not in found.Tags()["scalars"]:
        return 0
    return max(int(event.step) for event in found.Scalars(SCORE))
