"""The default: strict after a first look, once more halfway, and then to the end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from optuna.pruners import BasePruner

from selector.search.members import Options, read_options
from selector.search.pruners.rungs import RungPruner
from selector.spec import StudySpec

FIRST_ONE_IN = 4
HALFWAY_ONE_IN = 8


class Auto:
    """A rung after a tenth of the epochs, and one after half of them."""

    def build(self, spec: StudySpec, options: Mapping[str, Any]) -> BasePruner:
        """The rung pruner for trials of `budget.epochs`.

        The order of trials after one epoch says nearly as much as their order some epochs later
        (Egele et al. 2023): with a cosine the learning rate is high then, and the scores jump. So
        most of the choice is made at once, and the rest when the rate has come down.
        """
        read_options("pruner", "auto", Options, options)
        epochs = spec.budget.epochs
        first = max(1, round(epochs / 10))
        return RungPruner(
            {first: FIRST_ONE_IN, max(first + 1, math.ceil(epochs / 2)): HALFWAY_ONE_IN}
        )
