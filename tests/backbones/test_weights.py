"""Weights from a local file: every key is compared, only the classifier may differ."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from selector import backbones
from selector.errors import InputError

ARCHITECTURE = "test_resnet"
NAME = f"timm:{ARCHITECTURE}"


def _network(classes: int = 7) -> nn.Module:
    return timm.create_model(ARCHITECTURE, num_classes=classes).eval()


def _expected(network: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return network.forward_head(network.forward_features(_images()), pre_logits=True)


def _images() -> torch.Tensor:
    return torch.linspace(0, 1, 2 * 3 * 64 * 64).view(2, 3, 64, 64)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_file_with_another_class_count_fills_the_backbone(tmp_path: Path, suffix: str) -> None:
    network, path = _network(), tmp_path / f"mine{suffix}"
    save = save_file if suffix == ".safetensors" else torch.save
    save(network.state_dict(), path)
    backbones.check(NAME, weights=str(path))
    backbone = backbones.load(NAME, weights=str(path), image_size=64)
    with torch.no_grad():
        assert torch.equal(backbone(_images()), _expected(network))


@pytest.mark.parametrize("wrapper", ["state_dict", "model"])
def test_file_of_a_training_script_is_unwrapped(tmp_path: Path, wrapper: str) -> None:
    network = _network()
    state = {f"module.{key}": value for key, value in network.state_dict().items()}
    torch.save({wrapper: state, "epoch": 3}, tmp_path / "last.pth")
    backbone = backbones.load(NAME, weights=str(tmp_path / "last.pth"), image_size=64)
    with torch.no_grad():
        assert torch.equal(backbone(_images()), _expected(network))


def test_file_without_classifier_fills_the_backbone(tmp_path: Path) -> None:
    network = models.mnasnet0_5(weights=None).eval()
    state = {k: v for k, v in network.state_dict().items() if not k.startswith("classifier.")}
    save_file(state, tmp_path / "body.safetensors")
    backbone = backbones.load(
        "torchvision:mnasnet0_5", weights=str(tmp_path / "body.safetensors"), image_size=64
    )
    with torch.no_grad():
        assert torch.equal(backbone(_images()), network.layers(_images()).mean([2, 3]))


def test_positions_of_a_transformer_are_fitted_to_the_image_size(tmp_path: Path) -> None:
    for name, network in (
        ("timm:test_vit", timm.create_model("test_vit", img_size=64)),
        ("torchvision:vit_b_32", models.vit_b_32(weights=None, image_size=64)),
    ):
        save_file(network.state_dict(), tmp_path / "vit.safetensors")
        backbone = backbones.load(name, weights=str(tmp_path / "vit.safetensors"), image_size=128)
        assert backbone(torch.rand(1, 3, 128, 128)).shape == (1, backbone.feature_dim)


def test_toy_reads_a_file_of_its_own_stages(tmp_path: Path) -> None:
    toy = backbones.load("toy:cnn", weights="random", seed=5, image_size=16)
    save_file(toy.stages.state_dict(), tmp_path / "toy.safetensors")
    again = backbones.load("toy:cnn", weights=str(tmp_path / "toy.safetensors"), image_size=16)
    images = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(again(images), toy(images))


def test_identity_of_weights_follows_the_content_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    identities = set()
    for _ in range(2):
        save_file(_network().state_dict(), path)
        identities.add(backbones.load(NAME, weights=str(path), image_size=64).weights_id)
    assert len(identities) == 2


def test_file_of_another_architecture_lists_the_keys_that_differ(tmp_path: Path) -> None:
    save_file(timm.create_model("test_vit").state_dict(), tmp_path / "vit.safetensors")
    with pytest.raises(InputError, match=r"does not fit.*Missing: .*more.*Unexpected: ") as caught:
        backbones.load(NAME, weights=str(tmp_path / "vit.safetensors"), image_size=64)
    assert len(str(caught.value)) < 1000


def test_one_missing_one_extra_and_one_misshapen_key_are_all_named(tmp_path: Path) -> None:
    state = _network().state_dict()
    del state["bn1.weight"]
    state["bn1.wieght"] = torch.ones(1)
    state["bn1.bias"] = torch.ones(3)
    save_file(state, tmp_path / "odd.safetensors")
    with pytest.raises(InputError) as caught:
        backbones.load(NAME, weights=str(tmp_path / "odd.safetensors"), image_size=64)
    message = str(caught.value)
    assert "Missing: bn1.weight." in message
    assert "Unexpected: bn1.wieght." in message
    assert "Of another shape: bn1.bias." in message


@pytest.mark.parametrize(
    ("weights", "problem"),
    [
        ("nowhere.safetensors", "does not exist"),
        ("pretraned", "are not a weights file"),
    ],
)
def test_weights_that_are_no_file_say_what_may_be_given(weights: str, problem: str) -> None:
    for call in (backbones.check, backbones.load):
        with pytest.raises(InputError, match=problem) as caught:
            call(NAME, weights=weights)
        assert "backbones: timm:test_resnet: {weights: FILE}" in str(caught.value)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_broken_file_is_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(b"this is text, not weights")
    with pytest.raises(InputError, match=f"broken{suffix}' cannot be read"):
        backbones.load(NAME, weights=str(path), image_size=64)


class _Script:
    """A value whose unpickling would run code."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('code ran')",))


def test_file_with_code_in_it_is_refused_unread(tmp_path: Path) -> None:
    torch.save({"weight": _Script()}, tmp_path / "evil.pth")
    with pytest.raises(InputError, match="cannot be read"):
        backbones.load(NAME, weights=str(tmp_path / "evil.pth"), image_size=64)


def test_file_that_holds_more_than_tensors_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.ones(1), "epoch": 3}, tmp_path / "more.pth")
    with pytest.raises(InputError, match=r"more than tensors .first: 'epoch'"):
        backbones.load(NAME, weights=str(tmp_path / "more.pth"), image_size=64)
