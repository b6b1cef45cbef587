"""What every part of a study file has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base of every part of a study file: frozen, and unknown keys are mistakes."""

    # Strict, for YAML already has types: `trials: true` is a mistake and not one trial.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
