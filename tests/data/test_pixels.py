from __future__ import annotations

import dataclasses
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from selector.data import Dataset, decode, decode_split, inspect, load_image, resize
from selector.data import pixels as pixels_module
from selector.errors import DataError, UnavailableError
from selector.records import Preprocessing

from .files import data, save_picture


@pytest.fixture
def dataset(flowers: Path) -> Dataset:
    return inspect(data(flowers), base=Path())


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def stored(cache: Path) -> set[str]:
    return {path.name for path in (cache / "images").glob("*.npy")}


def test_pixels_are_those_of_the_one_decoder_and_the_one_resize(
    dataset: Dataset, flowers: Path, cache: Path, preprocessing: Preprocessing
) -> None:
    seen = decode(dataset, preprocessing, cache=cache)
    for split in (seen.train, seen.validation):
        for row, sample_id in enumerate(split.sample_ids):
            expected = resize(load_image(flowers / sample_id), preprocessing)
            assert (split.images[row] == expected).all()


def test_labels_and_ids_go_with_their_rows(
    dataset: Dataset, cache: Path, preprocessing: Preprocessing
) -> None:
    train = decode(dataset, preprocessing, cache=cache).train
    assert train.images.shape == (16, 16, 16, 3) and train.images.dtype == np.uint8
    names = [sample_id.split("/")[0] for sample_id in train.sample_ids]
    assert [dataset.class_names[label] for label in train.labels] == names


def test_what_training_gets_does_not_reach_the_test_split(
    dataset: Dataset, cache: Path, preprocessing: Preprocessing
) -> None:
    seen = decode(dataset, preprocessing, cache=cache)
    test_ids = {dataset.samples[index].id for index in dataset.splits.test}
    assert not test_ids & {*seen.train.sample_ids, *seen.validation.sample_ids}
    assert len(stored(cache)) == 2
    test = decode_split(dataset, "test", preprocessing, cache=cache)
    assert set(test.sample_ids) == test_ids


def test_the_pixels_are_mapped_and_read_only(
    dataset: Dataset, cache: Path, preprocessing: Preprocessing
) -> None:
    images = decode(dataset, preprocessing, cache=cache).train.images
    assert isinstance(images, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        images[0, 0, 0, 0] = 1


def test_a_second_call_decodes_nothing(
    dataset: Dataset, flowers: Path, cache: Path, preprocessing: Preprocessing
) -> None:
    first = decode(dataset, preprocessing, cache=cache)
    for path in flowers.rglob("*.png"):
        path.unlink()
    calls: list[int] = []
    second = decode(
        dataset, preprocessing, cache=cache, progress=lambda done, *_: calls.append(done)
    )
    assert calls == []
    assert (second.train.images == first.train.images).all()


@pytest.mark.parametrize(
    ("change", "files"),
    [
        ({"size": 8}, 4),
        ({"interpolation": "nearest"}, 4),
        ({"mean": (0.0, 0.0, 0.0)}, 2),  # applied later, on the device
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_only_what_changes_pixels_makes_another_file(
    dataset: Dataset,
    cache: Path,
    preprocessing: Preprocessing,
    change: dict[str, object],
    files: int,
) -> None:
    decode(dataset, preprocessing, cache=cache)
    decode(dataset, dataclasses.replace(preprocessing, **change), cache=cache)  # type: ignore[arg-type]
    assert len(stored(cache)) == files


def test_changed_content_is_never_served_from_the_old_file(
    dataset: Dataset, flowers: Path, cache: Path, preprocessing: Preprocessing
) -> None:
    decode(dataset, preprocessing, cache=cache)
    before = stored(cache)
    save_picture(flowers / "rose" / "000.png", 4711)
    decode(inspect(data(flowers), base=Path()), preprocessing, cache=cache)
    assert len(stored(cache) - before) == 2


def test_a_file_that_changed_since_the_audit_is_refused(
    dataset: Dataset, flowers: Path, cache: Path, preprocessing: Preprocessing
) -> None:
    changed = dataset.samples[int(dataset.splits.train[0])].id
    save_picture(flowers / changed, 4711)
    with pytest.raises(DataError, match=f"{changed}: the file has changed since the audit"):
        decode(dataset, preprocessing, cache=cache)
    assert stored(cache) == set()


def test_a_file_that_vanished_since_the_audit_is_refused(
    dataset: Dataset, flowers: Path, cache: Path, preprocessing: Preprocessing
) -> None:
    gone = dataset.samples[int(dataset.splits.train[0])].id
    (flowers / gone).unlink()
    with pytest.raises(DataError, match=f"{gone}: cannot be read any more"):
        decode(dataset, preprocessing, cache=cache)


def test_a_disk_without_room_is_refused_before_decoding(
    dataset: Dataset, cache: Path, preprocessing: Preprocessing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixels_module, "_SPARE_BYTES", 1 << 62)
    with pytest.raises(UnavailableError, match=r"GB free.*SELECTOR_CACHE"):
        decode(dataset, preprocessing, cache=cache)


def test_progress_names_the_split_and_the_size(
    dataset: Dataset, cache: Path, preprocessing: Preprocessing
) -> None:
    seen: list[tuple[int, int, str]] = []
    decode(dataset, preprocessing, cache=cache, progress=lambda *call: seen.append(call))
    assert (16, 16, "decoding train at 16 px") in seen
    assert seen[-1] == (4, 4, "decoding validation at 16 px")


def zero_the_end(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-500] + bytes(500))


DAMAGES = {
    "cut short": lambda path: os.truncate(path, 700),
    "empty": lambda path: os.truncate(path, 0),
    "zeroed bytes": zero_the_end,
    "no checksum": lambda path: path.with_suffix(".json").unlink(),
    "a torn checksum": lambda path: os.truncate(path.with_suffix(".json"), 5),
    "a checksum of nothing": lambda path: path.with_suffix(".json").write_text("[]"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_pixels_are_decoded_again(
    damage: str, dataset: Dataset, cache: Path, preprocessing: Preprocessing
) -> None:
    first = decode(dataset, preprocessing, cache=cache).train
    expected = first.images.copy()
    DAMAGES[damage](cache / "images" / f"{first.content}.npy")
    calls: list[str] = []
    again = decode(
        dataset, preprocessing, cache=cache, progress=lambda done, n, label: calls.append(label)
    )
    assert (again.train.images == expected).all()
    assert set(calls) == {"decoding train at 16 px"}


def test_pixels_are_verified_once_in_a_process(
    dataset: Dataset, cache: Path, preprocessing: Preprocessing, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode(dataset, preprocessing, cache=cache)
    decode(dataset, preprocessing, cache=cache)
    monkeypatch.setattr(pixels_module.zlib, "crc32", None)
    decode(dataset, preprocessing, cache=cache)


def test_processes_share_one_file(flowers: Path, cache: Path, preprocessing: Preprocessing) -> None:
    work = [(flowers, cache, preprocessing)] * 4
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        decoded = list(pool.map(_decode_elsewhere, work))
    assert sum(count for count, _ in decoded) == 20  # each image once, by whoever came first
    assert len({total for _, total in decoded}) == 1


def _decode_elsewhere(work: tuple[Path, Path, Preprocessing]) -> tuple[int, int]:
    """How many images this process decoded, and the sum over all pixels it got."""
    flowers, cache, preprocessing = work
    calls: list[int] = []
    seen = decode(
        inspect(data(flowers), base=Path()),
        preprocessing,
        cache=cache,
        progress=lambda done, *_: calls.append(os.getpid()),
    )
    return len(calls), int(seen.train.images.astype(np.int64).sum())
