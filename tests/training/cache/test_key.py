"""The key of a cached output changes with everything that changes the function or its input."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from selector import data as data_package
from selector.records import Preprocessing
from selector.spec.schema import DataSpec
from selector.training.cache import key
from selector.training.cache.key import Keys, pass_name

from ..conftest import CPU
from .conftest import computed_of, make_named_split, make_network_of


def digest(*, cut=2, split=None, network=None, **changes):
    network = network or make_network_of("toy:cnn", 2)
    split = split or make_named_split(6)
    return Keys(computed_of(network, split, **changes), split).of(cut).digest


def changed_network(change):
    network = make_network_of("toy:cnn", 2).place(CPU)
    change(network.backbone)
    return network


def trained(backbone):
    with torch.no_grad():
        backbone.stages[1][0].weight[3, 2, 1, 0] += 1e-6


def moved_statistics(backbone):
    backbone.stages[0][1].running_mean[5] += 1e-6


def other_activation(backbone):
    backbone.stages[0][2] = torch.nn.ReLU6()


def other_epsilon(backbone):
    backbone.stages[0][1].eps = 1e-3


def other_mean(backbone):
    backbone.preprocessing = dataclasses.replace(backbone.preprocessing, mean=(0.5, 0.5, 0.4))


def other_interpolation(backbone):
    backbone.preprocessing = dataclasses.replace(backbone.preprocessing, interpolation="bicubic")


SPLIT = make_named_split(6)
CHANGES = {
    "pixels": {"split": make_named_split(6, seed=9)},
    "name of the pixels": {"split": dataclasses.replace(SPLIT, content="other")},
    "sample ids": {"split": dataclasses.replace(SPLIT, sample_ids=("x", *SPLIT.sample_ids[1:]))},
    "order": {"split": dataclasses.replace(SPLIT, sample_ids=SPLIT.sample_ids[::-1])},
    "seed of the weights": {"network": make_network_of("toy:cnn", 2, seed=1)},
    "a trained weight": {"network": changed_network(trained)},
    "normalisation statistics": {"network": changed_network(moved_statistics)},
    "name of the weights": {"network": changed_network(lambda b: setattr(b, "weights_id", "x"))},
    "name of the backbone": {"network": changed_network(lambda b: setattr(b, "name", "toy:x"))},
    "activation": {"network": changed_network(other_activation)},
    "epsilon": {"network": changed_network(other_epsilon)},
    "mean": {"network": changed_network(other_mean)},
    "interpolation": {"network": changed_network(other_interpolation)},
    "cut": {"cut": 3},
    "view": {"view": 1},
    "precision": {"precision": "bf16"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_function_or_its_input_changes_the_key(change):
    assert digest(**CHANGES[change]) != digest()


def test_the_same_network_and_images_have_the_same_key():
    assert digest(split=make_named_split(6), network=make_network_of("toy:cnn", 2)) == digest()


def test_what_is_trained_does_not_change_the_key():
    network = changed_network(lambda backbone: backbone.stages[2][0].weight.data.add_(1.0))
    assert digest(network=network) == digest()


def test_freeze_depths_share_the_cuts_they_have_in_common():
    assert digest(network=make_network_of("toy:cnn", 5)) == digest()


def test_every_field_of_the_key_counts():
    network = make_network_of("toy:cnn", 2)
    found = Keys(computed_of(network, SPLIT), SPLIT).of(2)
    for field in dataclasses.fields(found):
        value = getattr(found, field.name)
        other = (
            Preprocessing(17, "bilinear", value.mean, value.std)
            if isinstance(value, Preprocessing)
            else value + 1
            if isinstance(value, int)
            else f"{value}?"
        )
        assert dataclasses.replace(found, **{field.name: other}).digest != found.digest, field.name


def test_threads_count_for_they_add_in_another_order():
    before, threads = digest(), torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        assert digest() != before
    finally:
        torch.set_num_threads(threads)


def test_flushed_denormals_count():
    before, flushed = digest(), bool(torch.tensor([1e-39]).mul(1.0).eq(0.0))
    torch.set_flush_denormal(not flushed)
    try:
        assert digest() != before
    finally:
        torch.set_flush_denormal(flushed)


@pytest.mark.parametrize(
    "variable",
    [
        *("ONEDNN_MAX_CPU_ISA", "DNNL_DEFAULT_FPMATH_MODE", "MKL_CBWR", "ATEN_CPU_CAPABILITY"),
        *("TIMM_FUSED_ATTN", "NVIDIA_TF32_OVERRIDE", "CUBLAS_WORKSPACE_CONFIG"),
    ],
)
def test_variables_that_choose_the_arithmetic_count(variable, monkeypatch):
    before = digest()
    monkeypatch.setenv(variable, "9")
    assert digest() != before


@pytest.mark.parametrize("kind", ["flash", "mem_efficient", "math", "cudnn"])
def test_ways_to_compute_attention_count(kind):
    cuda = torch.backends.cuda
    before, enabled = digest(), getattr(cuda, f"{kind}_sdp_enabled")()
    switch = getattr(cuda, f"enable_{kind}_sdp")
    switch(not enabled)
    try:
        assert digest() != before
    finally:
        switch(enabled)


def test_fused_attention_of_timms_layers_counts():
    network = make_network_of("timm:vit_tiny_patch16_224", 2, size=32)
    split = make_named_split(6, size=32)
    before = digest(network=network, split=split)
    for module in network.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = not module.fused_attn
    assert digest(network=network, split=split) != before


def test_memory_order_of_the_weights_counts():
    network = make_network_of("toy:cnn", 2)
    channels_last = digest(network=network)
    computed = computed_of(network, SPLIT)
    network.to(memory_format=torch.contiguous_format)
    assert Keys(computed, SPLIT).of(2).digest != channels_last


@pytest.mark.parametrize("library", ["torch", "torchvision", "timm"])
def test_a_librarys_version_counts(library, monkeypatch):
    before, real = digest(), key._version
    monkeypatch.setattr(key, "_version", lambda name: "9" if name == library else real(name))
    key._code.cache_clear()
    try:
        assert digest() != before
    finally:
        key._code.cache_clear()


def test_the_caches_own_code_counts():
    root = Path(key.__file__).parents[2]
    own = {path for pattern in key._OWN_CODE for path in root.glob(pattern)}
    assert Path(key.__file__) in own


def test_our_own_code_counts(monkeypatch):
    before = digest()
    monkeypatch.setattr(key, "_OWN_CODE", ("backbones/*.py",))
    key._code.cache_clear()
    try:
        assert digest() != before
    finally:
        key._code.cache_clear()


@pytest.mark.parametrize("changes", [{"view": 1}, {"precision": "bf16"}])
def test_passes_over_other_views_do_not_wait_for_each_other(changes):
    network = make_network_of("toy:cnn", 2)
    one, other = computed_of(network, SPLIT), computed_of(network, SPLIT, **changes)
    assert pass_name(one, SPLIT) != pass_name(other, SPLIT)


@pytest.mark.parametrize("change", ["split seed", "size", "interpolation"])
def test_what_is_decoded_names_its_pixels(change, tmp_path):
    def content(seed=0, size=8, interpolation="bilinear"):
        spec = DataSpec(source="builtin:digits", limit=200, split={"seed": seed})
        dataset = data_package.inspect(spec, base=tmp_path)
        preprocessing = Preprocessing(size, interpolation, (0.5,) * 3, (0.5,) * 3)
        decoded = data_package.decode(dataset, preprocessing, cache=tmp_path)
        assert decoded.train.content != decoded.validation.content
        return decoded.train.content

    changes = {
        "split seed": {"seed": 1},
        "size": {"size": 9},
        "interpolation": {"interpolation": "bicubic"},
    }
    assert content(**changes[change]) != content()
    assert content() == content()
