"""Hyperparameter search and model selection for fine-tuned pretrained backbones."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selector.run import run
    from selector.study import Study

__all__ = ["Study", "run"]


def __getattr__(name: str) -> Any:
    # Lazily, so that importing one part (or asking for --help) does not import torch.
    match name:
        case "Study":
            from selector.study import Study

            return Study
        case "run":
            from selector.run import run

            return run
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


class _Package(ModuleType):
    """This package, in which `run` is the function although a module has the same name."""

    def __setattr__(self, name: str, value: Any) -> None:
        # Importing `selector.run` sets it on its parent; without this the name would change its
        # meaning with the first import of the module.
        is_module = name == "run" and isinstance(value, ModuleType)
        super().__setattr__(name, value.run if is_module else value)


sys.modules[__name__].__class__ = _Package
