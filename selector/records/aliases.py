"""Names for values that many records share."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

Goal = Literal["maximize", "minimize"]
SplitName = Literal["train", "validation", "test"]
TrialState = Literal["running", "complete", "pruned", "failed", "waiting"]
RunStatus = Literal["running", "complete", "interrupted", "failed"]
Origin = Literal[
    "start_from", "history", "recipe", "startup", "sampler", "retry", "finals"
]  # `history`: a recipe of an earlier study
Scalar = str | int | float | bool
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
