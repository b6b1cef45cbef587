"""What all pictures of a report share: the study's data, their size, and how they are written."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from selector import data
from selector.errors import ConflictError
from selector.records import Bytes
from selector.settings import Settings
from selector.spec import from_plain
from selector.store import Store

SIDE = 192  # pixels of a written picture


def dataset_of(store: Store, study: str, *, settings: Settings) -> data.Dataset:
    """The data of a stored study, looked for where its latest run found it.

    DataError where it is out of reach, ConflictError where it is no longer what the study saw.
    """
    row = store.require_study(study)
    base = next(iter(store.folders(study)), Path.cwd())
    dataset = data.inspect(from_plain(row.spec).data, base=base, cache=settings.cache)
    if dataset.summary.fingerprint != row.data.fingerprint:
        raise ConflictError(
            f"The data of study '{study}' has changed since "
            f"({row.data.fingerprint[:12]} then, {dataset.summary.fingerprint[:12]} now)."
        )
    return dataset


@contextmanager
def made_at_once(folder: Path) -> Iterator[Path]:
    """An empty folder to fill, which takes the place of `folder` when all went well."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".pictures-") as place:
        made = Path(place) / "made"
        made.mkdir()
        yield made
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)


def picture_of(pixels: Bytes) -> Image.Image:
    sharp = pixels.shape[0] < SIDE // 2
    resampling = Image.Resampling.NEAREST if sharp else Image.Resampling.LANCZOS
    return Image.fromarray(pixels).resize((SIDE, SIDE), resampling)
