"""How well frozen features alone predict the labels: neighbours and a linear probe.

Both need nothing but one pass over the images. Neighbours that vote by cosine similarity are the
rule of Wu et al. (2018, arXiv 1805.01978), with k = 20 and temperature 0.07 as in Caron et al.
(2021, arXiv 2104.14294); the probe is the L2-regularised logistic regression of Kornblith et al.
(2019, arXiv 1805.08974), fitted by L-BFGS. Neither draws a random number.
"""

from __future__ import annotations

from contextlib import closing

import torch
from torch import Tensor
from torch.nn import functional

from selector.backbones.base import STAGES
from selector.records import Floats, SplitImages
from selector.training.batches import sequential_batches
from selector.training.cache import PrefixCache
from selector.training.images import Images
from selector.training.network import Network
from selector.training.precision import Precision
from selector.training.prefix import FILL_BATCH, HOLD_BYTES, ComputedPrefix, PrefixSource

NEIGHBOURS = 20
TEMPERATURE = 0.07
PENALTY = 0.01  # of the squared weights, beside the mean cross entropy
STEPS = 50
_CHUNK = 256  # validation samples compared with all training samples at once
_UNSEEN = 1e-3  # share of the votes that all classes divide, so that none has probability 0


def pooled_features(
    network: Network,
    split: SplitImages,
    *,
    device: torch.device,
    precision: Precision,
    prefix_cache: PrefixCache | None,
) -> Tensor:
    """Features (n, feature_dim) float32 of a split's images, on the device.

    `network` is frozen as a whole. They come from `prefix_cache`, which keeps them for the trials,
    or are computed where there is none or it declines.
    """
    assert network.freeze_depth == STAGES, "features are what all stages make of an image"
    network.place(device)
    images = Images(split.images, network.backbone.preprocessing, device)
    computed = ComputedPrefix(network, images, precision, device)
    stored = prefix_cache.open(computed, split, resident_bytes=HOLD_BYTES) if prefix_cache else None
    source: PrefixSource = stored or computed
    with closing(source.stream(sequential_batches(len(images), FILL_BATCH))) as batches:
        return torch.cat([batch.flatten(1).float() for batch in batches])


def knn_log_probabilities(
    train: Tensor, labels: Tensor, validation: Tensor, *, n_classes: int
) -> Floats:
    """Log probabilities (n_validation, classes) by the vote of the nearest training samples.

    `train` is (n_train, features), `labels` (n_train,) class indices, `validation` (n, features).
    """
    known = functional.normalize(train, dim=1)
    neighbours = min(NEIGHBOURS, len(known))
    parts = []
    for chunk in torch.split(functional.normalize(validation, dim=1), _CHUNK):
        similarity, nearest = (chunk @ known.T).topk(neighbours, dim=1)
        weights = torch.softmax(similarity / TEMPERATURE, dim=1)
        votes = torch.zeros(len(chunk), n_classes, device=chunk.device)
        votes.scatter_add_(1, labels[nearest], weights)
        parts.append((votes * (1 - _UNSEEN) + _UNSEEN / n_classes).log())
    return _as_array(torch.cat(parts))


def probe_log_probabilities(
    train: Tensor, labels: Tensor, validation: Tensor, *, n_classes: int
) -> Floats:
    """Log probabilities (n_validation, classes) of a linear layer fitted to the training samples.

    Shapes as for `knn_log_probabilities`. Features are standardised by the training samples.
    """
    centre = train.mean(0)
    spread = train.std(0, unbiased=False)
    # A feature that never changes says nothing, and dividing by its spread would be noise. Its own
    # size is the measure: untrained networks have features of 1e-8 that tell classes apart.
    scale = torch.where(spread > 1e-6 * centre.abs(), spread, torch.inf)
    weight, bias = _fit((train - centre) / scale, labels, n_classes=n_classes)
    logits = (validation - centre) / scale @ weight.T + bias
    return _as_array(torch.log_softmax(logits, dim=1))


def _fit(inputs: Tensor, labels: Tensor, *, n_classes: int) -> tuple[Tensor, Tensor]:
    """Weight (classes, features) and bias (classes,); the loss is convex, so it starts from 0."""
    weight = torch.zeros(n_classes, inputs.shape[1], device=inputs.device, requires_grad=True)
    bias = torch.zeros(n_classes, device=inputs.device, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        logits = functional.linear(inputs, weight, bias)
        value = functional.cross_entropy(logits, labels) + PENALTY / 2 * weight.square().sum()
        torch.autograd.backward(value)
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach()


def _as_array(log_probabilities: Tensor) -> Floats:
    values: Floats = log_probabilities.cpu().numpy()
    return values
