"""No pruning: every trial runs all its epochs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.pruners import BasePruner, NopPruner

from selector.search.members import Options, read_options
from selector.spec import StudySpec


class NoPruner:
    """Never stops a trial."""

    def build(self, spec: StudySpec, options: Mapping[str, Any]) -> BasePruner:
        """Optuna's empty pruner."""
        read_options("pruner", "none", Options, options)
        return NopPruner()
