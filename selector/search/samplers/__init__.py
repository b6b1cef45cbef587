"""The menu of samplers."""

from __future__ import annotations

from selector.errors import UnknownNameError
from selector.search.samplers.base import Sampler

NAMES = ("tpe", "random", "grid", "gp", "cmaes", "qmc")


def load(name: str) -> Sampler:
    """The sampler called `name`."""
    match name:
        case "tpe":
            from selector.search.samplers.tpe import Tpe

            return Tpe()
        case "random":
            from selector.search.samplers.random import Random

            return Random()
        case "grid":
            from selector.search.samplers.grid import Grid

            return Grid()
        case "gp":
            from selector.search.samplers.gp import Gp

            return Gp()
        case "cmaes":
            from selector.search.samplers.cmaes import CmaEs

            return CmaEs()
        case "qmc":
            from selector.search.samplers.qmc import Qmc

            return Qmc()
    raise UnknownNameError("sampler", name, NAMES)
