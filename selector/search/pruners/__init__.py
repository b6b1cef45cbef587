"""The menu of pruners: each stops a trial whose validation score falls behind."""

from __future__ import annotations

from selector.errors import UnknownNameError
from selector.search.pruners.base import Pruner

NAMES = ("auto", "median", "percentile", "successive_halving", "hyperband", "wilcoxon", "none")


def load(name: str) -> Pruner:
    """The pruner called `name`."""
    match name:
        case "auto":
            from selector.search.pruners.auto import Auto

            return Auto()
        case "median":
            from selector.search.pruners.median import Median

            return Median()
        case "percentile":
            from selector.search.pruners.percentile import Percentile

            return Percentile()
        case "successive_halving":
            from selector.search.pruners.successive_halving import SuccessiveHalving

            return SuccessiveHalving()
        case "hyperband":
            from selector.search.pruners.hyperband import Hyperband

            return Hyperband()
        case "wilcoxon":
            from selector.search.pruners.wilcoxon import Wilcoxon

            return Wilcoxon()
        case "none":
            from selector.search.pruners.none import NoPruner

            return NoPruner()
    raise UnknownNameError("pruner", name, NAMES)
