"""What the images of a data set look like, from a few of them."""

from __future__ import annotations

import numpy as np
from PIL import Image

from selector.data.dataset import Dataset
from selector.records import ImageStatistics

LOOKED_AT = 64  # images: the mean colour of so many lies within a few percent of that of all
SIDE = 32  # pixels that each is reduced to, as far as colours are concerned


def image_statistics(dataset: Dataset, *, most: int = LOOKED_AT) -> ImageStatistics:
    """Sizes and colours of at most `most` training images, spread evenly over their ids."""
    train = dataset.splits.train
    places = np.unique(np.linspace(0, len(train) - 1, min(most, len(train))).round().astype(int))
    sizes, colours = [], []
    for index in train[places].tolist():
        image = dataset.images.load(index).image
        sizes.append(image.size)
        colours.append(
            np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX)).reshape(-1, 3) / 255
        )
    width, height = np.median(np.array(sizes, dtype=np.float64), axis=0)
    pixels = np.concatenate(colours)
    mean, sd = pixels.mean(axis=0).tolist(), pixels.std(axis=0).tolist()
    return ImageStatistics(
        images=len(sizes),
        width=float(width),
        height=float(height),
        mean=(mean[0], mean[1], mean[2]),
        sd=(sd[0], sd[1], sd[2]),
    )
