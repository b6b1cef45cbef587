"""Number formats by device."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from selector.errors import InputError
from selector.training import precision, train

from .conftest import CPU, make_network, recipe


def test_auto_is_full_precision_on_the_cpu():
    assert precision.resolve("auto", CPU) == "fp32"


@pytest.mark.parametrize("name", ["fp32", "bf16"])
def test_a_named_precision_is_kept(name):
    assert precision.resolve(name, CPU) == name


def test_fp16_on_the_cpu_is_refused_with_the_choices():
    with pytest.raises(InputError, match=r"'fp16' needs a CUDA device, not 'cpu'.*'bf16'"):
        precision.resolve("fp16", CPU)


@pytest.mark.parametrize(("name", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_autocast_computes_in_the_chosen_format(name, dtype):
    with precision.autocast(name, CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


@pytest.mark.parametrize("depth", [0, 3])
def test_training_in_bf16_gives_float32_predictions_near_full_precision(depth, data, task):
    def last(name):
        chosen = recipe(freeze_depth=depth, precision=name)
        return list(train(make_network(depth), data, chosen, device=CPU, task=task))[-1]

    full, half = last("fp32"), last("bf16")
    assert half.log_probabilities.dtype == np.float32
    assert half.validation_loss == pytest.approx(full.validation_loss, abs=0.1)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", ["fp32", "bf16", "fp16"])
def test_training_on_a_gpu_agrees_with_the_cpu_in_every_format(name, data, task):
    cuda = torch.device("cuda")

    def first(device, chosen):
        network = make_network(3)
        recipe_ = recipe(freeze_depth=3, precision=chosen, lr=1e-3)
        return list(train(network, data, recipe_, device=device, task=task))[-1]

    assert precision.resolve("auto", cuda) in ("bf16", "fp16")
    wanted = first(CPU, "fp32").validation_loss
    assert first(cuda, name).validation_loss == pytest.approx(wanted, abs=0.05)
