"""The seam of all writers: parameters, epochs and end of a trial, for other tools to show."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from selector.events import (
    EpochEnded,
    Event,
    Observer,
    TrialEnded,
    TrialLost,
    TrialStarted,
    WriterFailed,
)
from selector.records import Scalar, StudyRow
from selector.store.passwords import without_passwords

CURVES = ("score", "train_loss", "validation_loss", "lr", "seconds")


class Options(BaseModel):
    """Base of a member's options: every field is documented by its type and default."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Whose trials are written, and the folder for what is written to files."""

    study: str
    lineage: str  # tells this study from one of the same name in another store
    folder: Path  # of all artifacts
    base: Path  # where relative paths of the study file start


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A trial as writers call it: `trial-0003` of the search, `final-0003` of the finals."""

    number: int
    final: bool = False

    @property
    def name(self) -> str:
        """Its name among those of the study."""
        return f"{'final' if self.final else 'trial'}-{self.number:04d}"


class Writer(Protocol):
    """Writes what it is told of trials; several are told of in turn, each in order.

    A trial that is begun again after a stop goes on in what was written before, and no epoch of it
    is written twice. Whatever it raises switches it off for the run.
    """

    def begin(self, trial: Written, params: Mapping[str, Scalar]) -> None:
        """A trial starts or goes on."""
        ...

    def epoch(self, trial: Written, epoch: int, values: Mapping[str, float]) -> None:
        """An epoch, from 1, ended; `values` by the names of CURVES, finite ones only."""
        ...

    def end(self, trial: Written, state: str, metrics: Mapping[str, float]) -> None:
        """The trial is complete, pruned or failed; `metrics` are those of a candidate."""
        ...

    def close(self) -> None:
        """The run is over: write what is held back."""
        ...


class Member(Protocol):
    """A kind of writer: its options, and how one is opened."""

    def check(self, options: Mapping[str, Any]) -> None:
        """Raise InputError for options it has not, UnavailableError where it is not installed."""
        ...

    def open(self, desk: Desk, options: Mapping[str, Any]) -> Writer:
        """A writer for the study."""
        ...


def desk_of(study: StudyRow, *, folder: Path, base: Path) -> Desk:
    """Where the writers of a stored study write."""
    created = study.created_at.isoformat()
    lineage = hashlib.sha256(created.encode()).hexdigest()[:8]
    return Desk(study=study.name, lineage=lineage, folder=folder, base=base)


@contextmanager
def heard(
    members: Sequence[tuple[str, Member, Mapping[str, Any]]], desk: Desk, *, observe: Observer
) -> Iterator[Observer]:
    """An observer that has the members write what it hears, before it passes that on to `observe`.

    One that fails is switched off, and WriterFailed says so once.
    """
    pens = [_Pen(name, observe) for name, _, _ in members]
    for pen, (_, member, options) in zip(pens, members, strict=True):
        pen.open(member, desk, options)

    def pass_on(event: Event) -> None:
        for pen in pens:
            pen.hear(event)
        observe(event)

    try:
        yield pass_on
    finally:
        for pen in pens:
            pen.close()


class _Pen:
    """One writer, for as long as it works."""

    def __init__(self, name: str, observe: Observer) -> None:
        self._name = name
        self._observe = observe
        self._writer: Writer | None = None
        self._trials: dict[int, Written] = {}  # those that run; a number is of one trial at a time

    def open(self, member: Member, desk: Desk, options: Mapping[str, Any]) -> None:
        try:
            self._writer = member.open(desk, options)
        except Exception as error:  # noqa: BLE001 - other people's tools raise anything
            self._give_up(error)

    def hear(self, event: Event) -> None:
        if self._writer is None:
            return
        try:
            self._write(self._writer, event)
        except Exception as error:  # noqa: BLE001 - other people's tools raise anything
            self._give_up(error)

    def close(self) -> None:
        if self._writer is None:
            return
        try:
            self._writer.close()
        except Exception as error:  # noqa: BLE001 - other people's tools raise anything
            self._give_up(error)

    def _write(self, writer: Writer, event: Event) -> None:
        match event:
            case TrialStarted():
                trial = Written(number=event.number, final=event.heat is not None)
                self._trials[event.number] = trial
                writer.begin(trial, {**event.params, **_of_heat(event)})
            case EpochEnded() if event.number in self._trials:
                found = ((name, getattr(event, name)) for name in CURVES)
                writer.epoch(self._trials[event.number], event.epoch, finite(dict(found)))
            case TrialEnded() if event.number in self._trials:
                trial = self._trials.pop(event.number)
                writer.end(trial, event.state, finite(event.metrics))
            case TrialLost():
                self._trials.pop(event.number, None)

    def _give_up(self, error: Exception) -> None:
        self._writer = None
        # Its address may have come from the environment, with a password in it.
        reason = without_passwords(" ".join(str(error).split())) or type(error).__name__
        self._observe(WriterFailed(writer=self._name, reason=reason))


def finite(values: Mapping[str, float | None]) -> dict[str, float]:
    """The values that are finite numbers."""
    return {k: float(v) for k, v in values.items() if v is not None and math.isfinite(v)}


def _of_heat(event: TrialStarted) -> dict[str, Scalar]:
    if event.heat is None:
        return {}
    return {"finalist": event.heat.finalist, "seed": event.heat.seed, "fold": event.heat.fold}
