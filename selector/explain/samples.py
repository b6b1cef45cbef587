"""Single samples of a study's data as pictures."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping

from selector.explain.source import SIDE, dataset_of
from selector.settings import Settings
from selector.store import Store


def draw_samples(
    store: Store, study: str, names: Iterable[str], *, settings: Settings
) -> Mapping[str, bytes]:
    """Small JPEG files of the samples `names`.

    Raises DataError or ConflictError where the data of the study is not here.
    """
    dataset = dataset_of(store, study, settings=settings)
    places = {sample.id: index for index, sample in enumerate(dataset.samples)}
    drawn = {}
    for name in names:
        image = dataset.images.load(places[name]).image
        image.thumbnail((SIDE, SIDE))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=88)
        drawn[name] = buffer.getvalue()
    return drawn
