"""What is known of an epoch, counted on the device and fetched in one transfer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from selector.records import Floats, Ints


@dataclass(frozen=True, slots=True)
class Tally:
    """The numbers of an epoch, on the host.

    `confusion` is (classes, classes) of the validation samples: rows are true classes, columns
    predicted ones. `finite` says whether all validation predictions are.
    """

    train_loss: float  # the sum over the training samples
    validation_loss: float
    finite: bool
    confusion: Ints


def tally(train_loss: Tensor, log_probabilities: Tensor, labels: Tensor) -> Tally:
    """Count on the device and wait for it once.

    `train_loss` is a scalar, `log_probabilities` (n, classes), `labels` (n,), all on the device.
    The validation loss is the mean negative log likelihood, without smoothing or class weights.
    """
    n_classes = log_probabilities.shape[1]
    picked = log_probabilities.gather(1, labels.unsqueeze(1)).double()
    scalars = torch.stack(
        [train_loss.double(), -picked.mean(), torch.isfinite(log_probabilities).all().double()]
    )
    counts = _confusion(labels, log_probabilities.argmax(dim=1), n_classes)
    # float64 holds counts exactly, and one tensor is one transfer.
    values = torch.cat([scalars, counts.double()]).cpu().numpy()
    return Tally(
        train_loss=float(values[0]),
        validation_loss=float(values[1]),
        finite=bool(values[2]),
        confusion=values[3:].astype(np.int64).reshape(n_classes, n_classes),
    )


def fetch_later(log_probabilities: Tensor) -> Callable[[], Floats]:
    """Gives the predictions (n, classes) on the host; copied when first asked for."""
    fetched: list[Floats] = []

    def fetch() -> Floats:
        if not fetched:
            fetched.append(to_host(log_probabilities))
        return fetched[0]

    return fetch


def to_host(log_probabilities: Tensor) -> Floats:
    """Log probabilities as an array of float32."""
    return np.asarray(log_probabilities.cpu().numpy(), dtype=np.float32)


def _confusion(labels: Tensor, predicted: Tensor, n_classes: int) -> Tensor:
    """The confusion matrix, flat: (classes * classes,)."""
    cells = labels * n_classes + predicted
    counts = torch.zeros(n_classes * n_classes, dtype=torch.int64, device=cells.device)
    # `bincount` would wait for the GPU to know the size of its result.
    return counts.scatter_add_(0, cells, torch.ones_like(cells))
