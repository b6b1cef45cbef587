"""What a stored study is called elsewhere in the same database."""

from __future__ import annotations


def name_of(study: str, version: int) -> str:
    """What Optuna calls the study at this version of its search space."""
    return study if version == 1 else f"{study}.v{version}"
