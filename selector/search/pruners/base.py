"""The seam of pruners: a member checks its options and builds Optuna's pruner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from optuna.pruners import BasePruner

from selector.spec import StudySpec


class Pruner(Protocol):
    """One rule for stopping a trial early. Steps are epochs, counted from 0."""

    def build(self, spec: StudySpec, options: Mapping[str, Any]) -> BasePruner:
        """Optuna's pruner; raises InputError for a wrong option or an unfit study."""
        ...
