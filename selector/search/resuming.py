"""Where a trial that was stopped goes on: a file of its own below the artifacts, kept up to date.

`STUDY/resume/trial-0003-<study>/state-<hash>.safetensors`, in which `<study>` tells studies of the
same name apart. A file is loaded only if it is whole and was written for the very same training;
otherwise the trial starts over. When the trial has ended, its folder goes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from selector import uploads
from selector.environment import versions
from selector.errors import UnavailableError
from selector.events import TrialNote
from selector.interrupts import Stop
from selector.records import EpochRecord, Recipe, StudyRow, TrainingData
from selector.search.context import StudyContext
from selector.search.progress import Progress
from selector.store import Store, safe_url
from selector.store.engine import sqlite_file
from selector.training import (
    LoadedCheckpoint,
    Network,
    TrainingState,
    load_checkpoint,
    named_sha256,
    save_checkpoint,
)

FOLDER = "resume"
SHARE = 0.05  # of a trial's time that may go into writing
STORE = "store"
_FORMAT = "1"
_BEST = "best."
_PREDICTIONS = "predictions"
_STATE = "training."


def open_point(
    number: int,
    network: Network,
    data: TrainingData,
    recipe: Recipe,
    *,
    context: StudyContext,
    progress: Progress,
    stop: Stop,
) -> ResumePoint:
    """Keeps the states of a trial; what an earlier attempt reached is put into `progress`."""
    point = ResumePoint(
        _folder(number, context),
        identity_of(network, data, recipe, context=context),
        progress,
        store=named_store(context.store),
        every_seconds=context.spec.training.checkpoint_seconds,
        stop=stop,
        devices=context.devices_of(network),
    )
    note = point.find()
    if note is not None:
        context.observe(TrialNote(number=number, text=note))
    return point


def forget(number: int, context: StudyContext) -> None:
    """Remove what was kept of a trial, which has ended."""
    folder = _folder(number, context)
    # What cannot be removed now only takes room.
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(UnavailableError):
        uploads.remove(folder)
    with suppress(OSError):
        folder.parent.rmdir()  # the last one


def identity_of(
    network: Network, data: TrainingData, recipe: Recipe, *, context: StudyContext
) -> dict[str, str]:
    """All that decides what a training gives, by what people call it."""
    pixels = hashlib.sha256()
    for split in (data.train, data.validation):
        pixels.update(json.dumps([split.content, split.sample_ids]).encode())
        pixels.update(split.labels.tobytes())
    pixels.update(json.dumps(data.class_names).encode())
    metric = context.spec.metric
    return {
        "format": _FORMAT,
        "recipe": json.dumps(asdict(recipe), sort_keys=True),
        "weights": network.backbone.weights_id,
        "data": pixels.hexdigest(),
        "metric": json.dumps([context.spec.task, metric.name, metric.goal, metric.positive_class]),
        "kind of device": context.device.type,
        "versions": json.dumps(versions(), sort_keys=True),
    }


class ResumePoint:
    """Keeps the states of one trial: the newest one, complete, survives whatever happens."""

    def __init__(
        self,
        folder: Path,
        identity: Mapping[str, str],
        progress: Progress,
        *,
        store: str,
        every_seconds: float,
        stop: Stop,
        devices: int = 1,
    ) -> None:
        self._folder = folder
        self._identity = identity
        self._progress = progress
        self._store = store
        self._every = every_seconds
        self._stop = stop
        self._devices = devices
        self._due: float | None = None
        self._written: Path | None = None
        self._start: TrainingState | None = None

    @property
    def start(self) -> TrainingState | None:
        """Where an earlier attempt stopped; None to begin from the start."""
        return self._start

    def find(self) -> str | None:
        """Take up what an earlier attempt left; a line about what came of it, None without any."""
        found, reasons = None, []
        uploads.bring_folder(self._folder)
        try:
            paths = self._paths()
        except OSError as error:
            return f"starts over; '{self._folder}' cannot be read: {error.strerror or error}"
        for path in paths:
            try:
                loaded = load_checkpoint(path, sha256=named_sha256(path))
            except UnavailableError as error:
                reasons.append(str(error))
                continue
            other = [k for k, v in self._identity.items() if loaded.metadata.get(k) != v]
            if other:
                reasons.append(f"it was written with other {', '.join(other)}")
            elif found is None or _place(loaded) > _place(found[1]):
                found = path, loaded
        if found is None:
            return f"starts over; its checkpoint cannot be used: {reasons[0]}" if reasons else None
        self._written, loaded = found
        self._take_up(loaded)
        epoch, step = _place(loaded)
        place = f"goes on in epoch {epoch}" + (f", after step {step}" if step else "")
        return place + self._elsewhere(_reached(loaded).get("devices", 1))

    def _paths(self) -> list[Path]:
        try:
            # Not by a pattern, which finds nothing in a folder that cannot be read.
            named = [path for path in self._folder.iterdir() if path.match("state-*.safetensors")]
        except FileNotFoundError:
            return []
        return sorted(named)

    def _elsewhere(self, before: int) -> str:
        """Where it goes on, if not on as many devices: the last bits depend on that."""
        if self._devices == before:
            return ""
        return f", on {self._devices} device{'' if self._devices == 1 else 's'} instead of {before}"

    def wants(self, step: int) -> bool:
        """Whether the state is due: by the clock, at the end of an epoch, or for a stop."""
        if self._stop.asked():
            return True
        if self._every == 0:
            return step == 0
        now = time.monotonic()
        if self._due is None:
            self._due = now + self._every
        return now >= self._due

    def keep(self, state: TrainingState) -> None:
        """Write the state and what the trial has reached; then obey a stop.

        Raises UnavailableError where it cannot be written; the file before it stays.
        """
        try:
            self._write(state)
        finally:
            self._stop.obey()

    def _write(self, state: TrainingState) -> None:
        began = time.monotonic()
        progress = self._progress
        tensors = {f"{_STATE}{name}": value for name, value in state.tensors.items()}
        tensors |= {f"{_BEST}{name}": value for name, value in progress.best_state.items()}
        if progress.best_log_probabilities is not None:
            tensors[_PREDICTIONS] = torch.from_numpy(progress.best_log_probabilities)
        reached = {
            "epoch": state.epoch,
            "step": state.step,
            "epoch_seconds": state.seconds,
            "scaler": dict(state.scaler),
            "seconds": progress.seconds,
            "epochs": [asdict(record) for record in progress.epochs],
            "best_epoch": progress.best.epoch if progress.best else None,
            "micro_batch": state.micro_batch,
            "norm_by_micro_batch": progress.norm_by_micro_batch,
            "devices": self._devices,
        }
        metadata = {**self._identity, STORE: self._store, "reached": json.dumps(reached)}
        before = self._written
        self._written = save_checkpoint(self._folder / "state", tensors, metadata).path
        if before is not None and before != self._written:
            before.unlink(missing_ok=True)
            uploads.remove(before)
        now = time.monotonic()
        # A large network on a slow disk is kept less often.
        self._due = now + max(self._every, (now - began) / SHARE)

    def _take_up(self, loaded: LoadedCheckpoint) -> None:
        reached, progress = _reached(loaded), self._progress
        progress.epochs[:] = [EpochRecord(**record) for record in reached["epochs"]]
        by_epoch = {record.epoch: record for record in progress.epochs}
        progress.best = by_epoch.get(reached["best_epoch"])
        progress.best_state = dict(_below(loaded, _BEST))
        if _PREDICTIONS in loaded.tensors:
            predictions = loaded.tensors[_PREDICTIONS].numpy()
            progress.best_log_probabilities = np.asarray(predictions, dtype=np.float32)
        progress.earlier_seconds = reached["seconds"]
        progress.micro_batch = reached.get("micro_batch")
        progress.norm_by_micro_batch = reached.get("norm_by_micro_batch", False)
        self._start = TrainingState(
            epoch=reached["epoch"],
            step=reached["step"],
            seconds=reached["epoch_seconds"],
            scaler=reached["scaler"],
            tensors=dict(_below(loaded, _STATE)),
            micro_batch=progress.micro_batch,
        )


def named_study(study: StudyRow) -> str:
    """What tells a study from others of its name, in the names of its trials' folders."""
    return hashlib.sha256(study.created_at.isoformat().encode()).hexdigest()[:8]


def named_store(store: Store) -> str:
    """What tells a store from others that share the artifacts folder; no address, no password."""
    file = sqlite_file(store.engine.url)
    name = str(file.resolve()) if file is not None else safe_url(store.url)
    return hashlib.sha256(name.encode()).hexdigest()


def _folder(number: int, context: StudyContext) -> Path:
    """Of one trial of one study, whichever worker has it: its lineage."""
    name = context.spec.name
    study = named_study(context.stored())
    return context.artifacts / name / FOLDER / f"trial-{number:04d}-{study}"


def _reached(loaded: LoadedCheckpoint) -> dict[str, Any]:
    reached: dict[str, Any] = json.loads(loaded.metadata["reached"])
    return reached


def _place(loaded: LoadedCheckpoint) -> tuple[int, int]:
    """How far a state is, for a worker that was killed between two files may have left both."""
    reached = _reached(loaded)
    return reached["epoch"], reached["step"]


def _below(loaded: LoadedCheckpoint, prefix: str) -> Iterator[tuple[str, torch.Tensor]]:
    for name, value in loaded.tensors.items():
        if name.startswith(prefix):
            yield name.removeprefix(prefix), value
