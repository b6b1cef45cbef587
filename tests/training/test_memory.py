"""Memory that runs out fails one trial, whoever says so."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from selector.errors import TrialFailedError
from selector.training import out_of_memory_fails_the_trial

from .conftest import CPU, recipe

HUGE = 2**50  # bytes


def _numpy():
    np.empty(HUGE, dtype=np.uint8)


def _torch():
    torch.empty(HUGE, dtype=torch.uint8)


def _raising(error):
    def fail():
        raise error

    return fail


@pytest.mark.parametrize(
    "work",
    [
        _numpy,
        _torch,
        _raising(MemoryError()),
        _raising(torch.OutOfMemoryError("CUDA out of memory.")),
        _raising(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate")),
    ],
)
def test_memory_that_runs_out_fails_the_trial(work):
    with (
        pytest.raises(TrialFailedError, match="toy:cnn: out of memory on cpu") as caught,
        out_of_memory_fails_the_trial(recipe(), CPU),
    ):
        work()
    assert caught.value.cause == "oom"


def test_any_other_error_passes():
    with (
        pytest.raises(RuntimeError, match="shapes"),
        out_of_memory_fails_the_trial(recipe(), CPU),
    ):
        raise RuntimeError("shapes do not fit")
