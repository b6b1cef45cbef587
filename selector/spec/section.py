"""What holds for every part of a study file."""

from __future__ import annotations

from pydantic import ConfigDict

# Strict, for YAML already has types: `trials: true` is a mistake and not one trial.
STRICT = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
