"""The prefix cache: what frozen stages make of images, computed once for all trials and runs."""

from selector.training.cache.filling import CutCost, loading_pays
from selector.training.cache.prefix_cache import PrefixCache

__all__ = ["CutCost", "PrefixCache", "loading_pays"]
