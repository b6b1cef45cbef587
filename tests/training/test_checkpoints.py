"""Weights on disk."""

from __future__ import annotations

import hashlib

import pytest
import torch

from selector.errors import UnavailableError
from selector.training import checkpoints, load_checkpoint, save_checkpoint

TENSORS = {
    "head.weight": torch.arange(6, dtype=torch.float32).reshape(2, 3),
    "stages.4.count": torch.tensor(3),
}


def test_what_is_saved_comes_back(tmp_path):
    path = tmp_path / "deep" / "trial.safetensors"
    saved = save_checkpoint(path, TENSORS, {"study": "flowers", "note": 'a "quoted" ü'})
    tensors, metadata = load_checkpoint(path, sha256=saved.sha256)
    assert tensors.keys() == TENSORS.keys()
    assert all(
        torch.equal(tensors[k], v) and tensors[k].dtype == v.dtype for k, v in TENSORS.items()
    )
    assert metadata == {"study": "flowers", "note": 'a "quoted" ü'}


def test_hash_and_size_are_those_of_the_file(tmp_path):
    path = tmp_path / "a.safetensors"
    sha256, size = save_checkpoint(path, TENSORS, {})
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert size == path.stat().st_size


def test_channels_last_weights_are_stored_by_value(tmp_path):
    weight = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, {"w": weight.to(memory_format=torch.channels_last)}, {})
    assert torch.equal(load_checkpoint(path).tensors["w"], weight)


def test_saving_again_replaces_and_leaves_no_other_file(tmp_path):
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, TENSORS, {"n": "1"})
    save_checkpoint(path, TENSORS, {"n": "2"})
    assert load_checkpoint(path).metadata == {"n": "2"}
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, TENSORS, {"n": "1"})

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(path, TENSORS, {"n": "2"})
    assert load_checkpoint(path).metadata == {"n": "1"}
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def test_missing_checkpoint_says_where_to_look(tmp_path):
    with pytest.raises(
        UnavailableError, match=r"gone\.safetensors' is missing.*SELECTOR_ARTIFACTS"
    ):
        load_checkpoint(tmp_path / "gone.safetensors")


def test_changed_checkpoint_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    sha256, _ = save_checkpoint(path, TENSORS, {})
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UnavailableError, match="changed or damaged"):
        load_checkpoint(path, sha256=sha256)


@pytest.mark.parametrize("keep", [0, 4, 40])
def test_half_a_checkpoint_is_refused(tmp_path, keep):
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, TENSORS, {})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UnavailableError, match="not a complete safetensors file"):
        load_checkpoint(path)
