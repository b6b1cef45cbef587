"""What a running trial has reached, over all its attempts."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from torch import Tensor

from selector.records import EpochRecord, Floats


@dataclass(slots=True)
class Progress:
    """The epochs of a trial and its best one; `earlier_seconds` is what other attempts took.

    `micro_batch` is how many samples went through the network at once, where memory had no room for
    a whole batch.
    """

    maximize: bool
    epochs: list[EpochRecord] = field(default_factory=list)
    best: EpochRecord | None = None
    best_state: dict[str, Tensor] = field(default_factory=dict)
    best_log_probabilities: Floats | None = None
    earlier_seconds: float = 0.0
    micro_batch: int | None = None
    norm_by_micro_batch: bool = False  # trained batch normalisation sees no more than that
    _started: float = field(default_factory=time.monotonic)

    def add(self, record: EpochRecord) -> bool:
        """Take in an epoch; True when it is the best so far."""
        self.epochs.append(record)
        better = self.best is None or (
            record.score > self.best.score if self.maximize else record.score < self.best.score
        )
        if better:
            self.best = record
        return better

    @property
    def seconds(self) -> float:
        """The time that the trial took until now."""
        return self.earlier_seconds + time.monotonic() - self._started
