"""Pretrained weights: found where the libraries keep them, or refused with their place."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub
import pytest
import timm
import torch
from safetensors.torch import save_file
from torchvision import models

from selector import backbones
from selector.backbones import downloads
from selector.errors import InputError, UnavailableError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def _snapshot(cache: Path, repo: str) -> Path:
    """The folder of a repository's files in the hub's cache, laid out as the hub lays it out."""
    folder = cache / f"models--{repo.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    (folder / "snapshots" / COMMIT).mkdir(parents=True)
    return folder / "snapshots" / COMMIT


def test_torchvision_weights_are_found_in_torch_home(torch_home: Path, offline: None) -> None:
    network = models.mobilenet_v3_small(weights=None).eval()
    filename = models.MobileNet_V3_Small_Weights.DEFAULT.url.rsplit("/", 1)[-1]
    torch.save(network.state_dict(), torch_home / filename)
    backbones.check("torchvision:mobilenet_v3_small")
    backbone = backbones.load("torchvision:mobilenet_v3_small", image_size=64)
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        features = network.classifier[:-1](network.avgpool(network.features(images)).flatten(1))
        assert torch.equal(backbone(images), features)


def test_old_densenet_weights_are_read_under_their_old_names(
    torch_home: Path, offline: None
) -> None:
    network = models.densenet121(weights=None).eval()
    old = {}
    for key, value in network.state_dict().items():
        if "denselayer" in key:
            for layer in ("norm", "conv"):
                key = key.replace(f".{layer}1.", f".{layer}.1.").replace(
                    f".{layer}2.", f".{layer}.2."
                )
        if not key.endswith("num_batches_tracked"):
            old[key] = value
    filename = models.DenseNet121_Weights.DEFAULT.url.rsplit("/", 1)[-1]
    torch.save(old, torch_home / filename)
    backbone = backbones.load("torchvision:densenet121", image_size=64)
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        features = network.features(images).relu().mean([2, 3])
        assert torch.allclose(backbone(images), features, atol=1e-6)


@pytest.mark.parametrize("size", [160, 64])
def test_timm_weights_are_found_in_the_hub_cache(hub_cache: Path, offline: None, size: int) -> None:
    repo = timm.get_pretrained_cfg("test_vit").hf_hub_id
    network = timm.create_model("test_vit").eval()
    save_file(network.state_dict(), _snapshot(hub_cache, repo) / "model.safetensors")
    backbones.check("timm:test_vit")
    backbone = backbones.load("timm:test_vit", image_size=size)
    images = torch.rand(2, 3, size, size)
    with torch.no_grad():
        features = backbone(images)
        if size == 160:
            whole = network.forward_head(network.forward_features(images), pre_logits=True)
            assert torch.equal(features, whole)
    assert features.shape == (2, backbone.feature_dim)


def test_hub_cache_is_read_in_a_process_that_the_hub_keeps_offline(tmp_path: Path) -> None:
    repo = timm.get_pretrained_cfg("test_resnet").hf_hub_id
    network = timm.create_model("test_resnet").eval()
    save_file(network.state_dict(), _snapshot(tmp_path, repo) / "model.safetensors")
    program = (
        "import torch; from selector import backbones\n"
        "b = backbones.load('timm:test_resnet', image_size=64)\n"
        "print(b(torch.ones(1, 3, 64, 64)).double().sum().item())"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    images = torch.ones(1, 3, 64, 64)
    with torch.no_grad():
        features = network.forward_head(network.forward_features(images), pre_logits=True)
    assert float(ran.stdout) == pytest.approx(features.double().sum().item(), rel=1e-4)


def test_damaged_file_in_the_hub_cache_is_named(hub_cache: Path, offline: None) -> None:
    repo = timm.get_pretrained_cfg("test_resnet").hf_hub_id
    (_snapshot(hub_cache, repo) / "model.safetensors").write_bytes(b"half a file")
    with pytest.raises(InputError, match=r"model\.safetensors' of timm:test_resnet cannot be"):
        backbones.load("timm:test_resnet", image_size=64)


def test_weights_tag_chooses_the_repository(hub_cache: Path, offline: None) -> None:
    with pytest.raises(UnavailableError, match=r"timm/resnet18\.tv_in1k"):
        backbones.check("timm:resnet18.tv_in1k")


def test_offline_timm_weights_out_of_reach_name_file_place_and_way_out(
    hub_cache: Path, offline: None
) -> None:
    for call in (backbones.check, backbones.load):
        with pytest.raises(UnavailableError) as caught:
            call("timm:resnet18")
        message = str(caught.value)
        assert "model.safetensors of huggingface.co/timm/resnet18.a1_in1k" in message
        assert str(hub_cache) in message
        assert "backbones: timm:resnet18: {weights: FILE}" in message
        assert caught.value.exit_code == 4


def test_offline_torchvision_weights_out_of_reach_name_file_and_place(
    torch_home: Path, offline: None
) -> None:
    with pytest.raises(UnavailableError) as caught:
        backbones.check("torchvision:resnet18")
    assert str(torch_home / "resnet18-f37072fd.pth") in str(caught.value)
    assert "backbones: torchvision:resnet18: {weights: FILE}" in str(caught.value)


def test_hub_offline_switch_of_the_hub_itself_counts(
    hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UnavailableError, match="the network is not used"):
        backbones.check("timm:resnet18")


def test_host_that_does_not_answer_is_given_up_at_once(
    hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = "http://127.0.0.1:9"  # the discard port: nothing listens
    monkeypatch.setattr(
        huggingface_hub, "hf_hub_url", lambda repo, filename: f"{closed}/{repo}/{filename}"
    )
    began = time.monotonic()
    with pytest.raises(UnavailableError, match="the download failed"):
        backbones.check("timm:test_resnet")
    assert time.monotonic() - began < 10


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server on this machine, and the folder that it serves."""
    folder = tmp_path / "site"
    folder.mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    thread.join()
    server.server_close()


def test_missing_file_is_fetched_once_and_its_hash_compared(
    site: tuple[str, Path], torch_home: Path
) -> None:
    url, folder = site
    content = b"weights" * 1000
    filename = f"net-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    (folder / filename).write_bytes(content)
    path = downloads.torch_hub_file(f"{url}/{filename}", name="torchvision:net")
    assert path == torch_home / filename
    assert path.read_bytes() == content
    (folder / filename).unlink()
    assert downloads.torch_hub_file(f"{url}/{filename}", name="torchvision:net") == path


@pytest.mark.parametrize(
    ("filename", "reason"), [("net-00000000.pth", "SHA-256"), ("gone-12345678.pth", "404")]
)
def test_failed_download_leaves_nothing_behind(
    site: tuple[str, Path], torch_home: Path, filename: str, reason: str
) -> None:
    url, folder = site
    (folder / "net-00000000.pth").write_bytes(b"something else")
    with pytest.raises(UnavailableError, match=reason):
        downloads.torch_hub_file(f"{url}/{filename}", name="torchvision:net")
    assert list(torch_home.iterdir()) == []
