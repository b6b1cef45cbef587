"""Every task: a small head drawn from a seed, a loss, and probabilities."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from selector import tasks
from selector.errors import UnknownNameError


@pytest.fixture(params=tasks.names())
def task(request):
    return tasks.load(request.param)


def test_unknown_task_names_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"Unknown task 'image_classificaton'.*Did you mean"):
        tasks.load("image_classificaton")


def test_head_is_drawn_from_its_seed_alone(task):
    torch.manual_seed(1)
    first = task.head(32, 5, seed=3)
    torch.manual_seed(2)
    second, other = task.head(32, 5, seed=3), task.head(32, 5, seed=4)
    assert torch.equal(first.weight, second.weight)
    assert not torch.equal(first.weight, other.weight)


def test_head_is_small_and_alike_whatever_the_feature_size(task):
    weights = [task.head(size, 5, seed=0).weight for size in (32, 2048)]
    spreads = [float(w.detach().std()) for w in weights]
    assert spreads == pytest.approx([0.02, 0.02], rel=0.15)


def test_head_leaves_the_callers_random_numbers_alone(task):
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    task.head(32, 5, seed=0)
    assert torch.equal(torch.rand(3), wanted)


def test_head_starts_without_bias(task):
    assert not task.head(32, 5, seed=0).bias.any()


def test_log_probabilities_are_normalised_float32_whatever_comes_in(task):
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    log_p = task.log_probabilities(logits)
    assert log_p.dtype == torch.float32
    assert torch.allclose(log_p.exp().sum(1), torch.ones(4))


def test_loss_is_cross_entropy_with_smoothing_and_class_weights(task):
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    targets, weights = torch.tensor([0, 1, 2, 0, 1, 0]), torch.tensor([1.0, 2.0, 3.0])
    wanted = F.cross_entropy(logits, targets, weight=weights, label_smoothing=0.1)
    got = task.loss(logits, targets, label_smoothing=0.1, class_weights=weights)
    assert torch.equal(got, wanted)


def test_loss_without_extras_is_the_mean_negative_log_probability(task):
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([0, 1, 2, 0, 1, 0])
    got = task.loss(logits, targets, label_smoothing=0.0, class_weights=None)
    wanted = -task.log_probabilities(logits)[torch.arange(6), targets].mean()
    assert torch.allclose(got, wanted)


@pytest.mark.parametrize("weighted", [False, True])
def test_stacked_loss_is_the_loss_of_every_head_and_its_gradient_to_the_bit(task, weighted):
    random = torch.Generator().manual_seed(0)
    smoothing = (0.0, 0.1, 0.37)
    logits = 5 * torch.randn(len(smoothing), 13, 7, generator=random)
    targets = torch.randint(0, 7, (13,), generator=random)
    weights = torch.rand(7, generator=random) if weighted else None
    losses, gradients = task.stacked_loss(
        logits,
        targets,
        label_smoothing=torch.tensor(smoothing, dtype=torch.float64),
        class_weights=weights,
    )
    for own, share, loss, gradient in zip(logits, smoothing, losses, gradients, strict=True):
        leaf = own.clone().requires_grad_()
        alone = task.loss(leaf, targets, label_smoothing=share, class_weights=weights)
        alone.backward()
        assert torch.equal(leaf.grad, gradient)
        assert float(loss) == pytest.approx(float(alone.detach()), rel=1e-6)
