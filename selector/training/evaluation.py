"""Predictions of a network: one path for validation in the loop and for any other images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing

import numpy as np
import torch
from torch import Tensor

from selector.data.normalize import normalize
from selector.errors import InputError
from selector.records import Bytes, Floats, Preprocessing, SplitImages
from selector.tasks.base import Task
from selector.training import precision as precisions
from selector.training.batches import sequential_batches
from selector.training.network import Network
from selector.training.portions import Portion, in_portions
from selector.training.precision import Precision
from selector.training.prefix import FILL_BATCH, PrefixSource, run_prefix
from selector.training.ranks import Ranks
from selector.training.tally import to_host
from selector.training.transfer import send


def predict_log_probabilities(
    network: Network,
    images: SplitImages | Bytes | Iterable[Bytes],
    preprocessing: Preprocessing,
    *,
    task: Task,
    device: torch.device,
    batch_size: int = FILL_BATCH,
    precision: Precision = "fp32",
) -> Floats:
    """Log probabilities (n, classes) float32 of images, in their order.

    `images` is a split, one array of uint8 pixels (n, height, width, 3), or batches of such arrays,
    which are used as they come. With the precision of training and the default batch size, a
    candidate's stored predictions come out again bit by bit on the same CPU.
    """
    network.place(device)
    batches = _batches(images.images if isinstance(images, SplitImages) else images, batch_size)
    portion = Portion()
    inputs = (
        run_prefix(
            network, normalize(_to_device(pixels, device), preprocessing), precision, portion
        )
        for pixels in batches
    )
    predicted = log_probabilities(
        network, inputs, task=task, device=device, precision=precision, portion=portion
    )
    return to_host(predicted)


def split_log_probabilities(
    network: Network,
    source: PrefixSource,
    n: int,
    *,
    task: Task,
    device: torch.device,
    precision: Precision,
    portion: Portion | None = None,
    ranks: Ranks | None = None,
) -> Tensor:
    """Log probabilities (n, classes) float32 of the n samples of a source, on the device.

    Several ranks go through the same batches as one does, each through some of them.
    """
    ranks = ranks or Ranks()
    batches = sequential_batches(n, FILL_BATCH)
    # Who has none left goes through the last one too, to know what predictions look like.
    with closing(source.stream(ranks.share(batches) or batches[-1:])) as inputs:
        found = log_probabilities(
            network, inputs, task=task, device=device, precision=precision, portion=portion
        )
    return ranks.gathered(found, ranks.counts(batches))


def log_probabilities(
    network: Network,
    inputs: Iterable[Tensor],
    *,
    task: Task,
    device: torch.device,
    precision: Precision,
    portion: Portion | None = None,
) -> Tensor:
    """Log probabilities (n, classes) float32 of batches of suffix inputs, on the device.

    The network's mode stays as it was. What memory has no room for at once, `portion` bounds.
    """
    was_training = network.training
    network.eval()
    portion = portion or Portion()

    def predict(batch: Tensor) -> Tensor:
        return task.log_probabilities(network.suffix(batch))

    with torch.no_grad(), precisions.autocast(precision, device):
        parts = [in_portions(predict, x, portion) for x in inputs]
    network.train(was_training)
    if not parts:
        raise InputError("No images to predict.")
    return torch.cat(parts).float()


def _batches(pixels: Bytes | Iterable[Bytes], batch_size: int) -> Iterator[Bytes]:
    if not isinstance(pixels, np.ndarray):
        yield from pixels
        return
    for start in range(0, len(pixels), batch_size):
        yield pixels[start : start + batch_size]


def _to_device(pixels: Bytes, device: torch.device) -> Tensor:
    # np.array copies out of a read-only map into memory torch may own.
    return send(torch.from_numpy(np.array(pixels)), device)
