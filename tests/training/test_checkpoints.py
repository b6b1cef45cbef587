"""Weights on disk."""

from __future__ import annotations

import hashlib

import pytest
import safetensors
import torch

from selector.errors import UnavailableError
from selector.training import checkpoints, load_checkpoint, save_checkpoint

TENSORS = {
    "head.weight": torch.arange(6, dtype=torch.float32).reshape(2, 3),
    "stages.4.count": torch.tensor(3),
}


def test_what_is_saved_comes_back(tmp_path):
    saved = save_checkpoint(
        tmp_path / "deep" / "trial", TENSORS, {"study": "flowers", "note": 'a "quoted" ü'}
    )
    tensors, metadata = load_checkpoint(saved.path, sha256=saved.sha256)
    assert tensors.keys() == TENSORS.keys()
    assert all(
        torch.equal(tensors[k], v) and tensors[k].dtype == v.dtype for k, v in TENSORS.items()
    )
    assert metadata == {"study": "flowers", "note": 'a "quoted" ü'}


def test_hash_and_size_are_those_of_the_file(tmp_path):
    path, sha256, size = save_checkpoint(tmp_path / "a", TENSORS, {})
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert size == path.stat().st_size
    assert path == tmp_path / f"a-{sha256[:12]}.safetensors"


def test_channels_last_weights_are_stored_by_value(tmp_path):
    weight = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    weights = {"w": weight.to(memory_format=torch.channels_last)}
    path = save_checkpoint(tmp_path / "a", weights, {}).path
    assert torch.equal(load_checkpoint(path).tensors["w"], weight)


def test_files_of_other_content_stand_side_by_side(tmp_path):
    first, second = (save_checkpoint(tmp_path / "a", TENSORS, {"n": n}).path for n in "12")
    assert load_checkpoint(first).metadata == {"n": "1"}
    assert load_checkpoint(second).metadata == {"n": "2"}
    assert set(tmp_path.iterdir()) == {first, second}


def test_the_same_content_is_one_file(tmp_path):
    metadata = {f"key {i}": str(i) for i in range(20)}
    files = {save_checkpoint(tmp_path / "a", TENSORS, metadata).path for _ in range(5)}
    assert set(tmp_path.iterdir()) == files
    assert len(files) == 1
    # The library reads the file that was put in order, tensors where they belong.
    with safetensors.safe_open(files.pop(), framework="pt") as opened:
        assert opened.metadata() == metadata
        assert torch.equal(opened.get_tensor("head.weight"), TENSORS["head.weight"])


def test_a_failed_write_leaves_nothing_and_names_the_file(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints.os, "fsync", full)
    with pytest.raises(UnavailableError, match=r"a-.*cannot be written: No space left on device"):
        save_checkpoint(tmp_path / "a", TENSORS, {"n": "2"})
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError, match=r"file/study/a-.*set SELECTOR_ARTIFACTS"):
        save_checkpoint(tmp_path / "file" / "study" / "a", TENSORS, {})


def test_missing_checkpoint_says_where_to_look(tmp_path):
    with pytest.raises(
        UnavailableError, match=r"gone\.safetensors' is missing.*SELECTOR_ARTIFACTS"
    ):
        load_checkpoint(tmp_path / "gone.safetensors")


def test_changed_checkpoint_is_refused(tmp_path):
    path, sha256, _ = save_checkpoint(tmp_path / "a", TENSORS, {})
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UnavailableError, match="changed or damaged"):
        load_checkpoint(path, sha256=sha256)


@pytest.mark.parametrize("keep", [0, 4, 40])
def test_half_a_checkpoint_is_refused(tmp_path, keep):
    path = save_checkpoint(tmp_path / "a", TENSORS, {}).path
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UnavailableError, match="not a complete safetensors file"):
        load_checkpoint(path)
