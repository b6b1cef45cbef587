"""Names of backbones: what is known, what is refused, and with which words."""

from __future__ import annotations

import pytest

from selector import backbones
from selector.errors import InputError, UnknownNameError


def test_name_splits_into_source_and_architecture() -> None:
    assert backbones.split_name("timm:resnet18.a1_in1k") == ("timm", "resnet18.a1_in1k")


@pytest.mark.parametrize("name", ["resnet18", ":resnet18", "timm:", ""])
def test_name_without_source_says_how_to_write_it(name: str) -> None:
    with pytest.raises(
        InputError, match=r"Write SOURCE:ARCHITECTURE.*Known sources: bundled, timm"
    ):
        backbones.split_name(name)


def test_unknown_source_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError) as caught:
        backbones.load("tim:resnet18")
    assert str(caught.value) == (
        "Unknown backbone source 'tim' in 'tim:resnet18'. Did you mean 'timm'? "
        "Known: bundled, timm, torchvision, toy."
    )


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("timm:resnet81", "resnet18"),
        ("torchvision:vgg11_nb", "vgg11_bn"),
        ("bundled:efficientnet_lite", "efficientnet_lite0"),
        ("toy:cn", "cnn"),
        ("timm:resnet18.a1_in1", "a1_in1k"),
    ],
)
def test_unknown_architecture_names_the_one_that_was_meant(name: str, meant: str) -> None:
    for call in (backbones.load, backbones.check):
        with pytest.raises(UnknownNameError) as caught:
            call(name)
        assert f"in '{name}'" in str(caught.value)
        assert meant in str(caught.value)
        assert len(str(caught.value)) < 2000


def test_every_source_lists_its_architectures() -> None:
    known = backbones.known()
    assert sorted(known) == sorted(backbones.SOURCES)
    assert "resnet18" in known["timm"]
    assert "vgg11" in known["torchvision"]
    assert set(known["bundled"]) == {
        "efficientnet_lite0",
        "efficientnet_lite1",
        "efficientnet_lite2",
        "mobilenet_v2",
    }
