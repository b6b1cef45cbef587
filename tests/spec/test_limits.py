"""What exceeds the limits leaves the search space, and nothing else does."""

from __future__ import annotations

import pytest

from selector.errors import LimitsUnmetError
from selector.records import NetworkCost
from selector.spec import StudySpec, parse_study, to_plain, to_yaml
from selector.spec.domains import Choice, Fixed
from selector.spec.limits import exceeded, left_out, narrowed

STUDY = """
name: small
data: {source: "builtin:digits"}
metric: {name: f1_macro, goal: maximize}
search:
  backbone: ["toy:cnn", "timm:resnet18", "timm:resnet50"]
  image_size: [64, 96]
backbones:
  timm:resnet50: {search: {lr: 1.0e-4}}
start_from:
  - {backbone: "timm:resnet50", lr: 1.0e-4}
  - {backbone: "timm:resnet18", image_size: 96}
  - {backbone: "timm:resnet18", image_size: 64}
  - {lr: 1.0e-3}
limits: {latency_ms: 12, parameters: 20e6}
"""


def cost(backbone: str, image_size: int, parameters: int, latency_ms: float) -> NetworkCost:
    return NetworkCost(
        backbone=backbone,
        image_size=image_size,
        parameters=parameters,
        size_mb=4 * parameters / 1e6,
        latency_ms=latency_ms,
        device="cpu",
        threads=1,
    )


COSTS = (
    cost("toy:cnn", 64, 1000, 1.0),
    cost("toy:cnn", 96, 1000, 2.0),
    cost("timm:resnet18", 64, 11_200_000, 8.0),
    cost("timm:resnet18", 96, 11_200_000, 16.5),
    cost("timm:resnet50", 64, 25_600_000, 9.0),
    cost("timm:resnet50", 96, 25_600_000, 30.0),
)


@pytest.fixture
def spec() -> StudySpec:
    return parse_study(STUDY)


def test_a_limit_that_is_met_exactly_is_met(spec: StudySpec) -> None:
    assert exceeded(cost("toy:cnn", 64, 20_000_000, 12.0), spec.limits) == ()
    assert exceeded(cost("toy:cnn", 64, 20_000_001, 13.0), spec.limits) == (
        "latency_ms 13 > 12",
        "parameters 20.00M > 20.00M",
    )


def test_a_backbone_that_never_fits_is_not_searched_and_one_size_may_go_alone(
    spec: StudySpec,
) -> None:
    small = narrowed(spec, COSTS)
    assert small.backbone_names == ("toy:cnn", "timm:resnet18")
    assert small.space_of("toy:cnn")["image_size"] == Choice((64, 96))
    assert small.space_of("timm:resnet18")["image_size"] == Fixed(64)
    assert "timm:resnet50" not in small.backbones
    assert small.start_from == (
        {"backbone": "timm:resnet18", "image_size": 64},
        {"lr": 1e-3},
    )
    assert len(left_out(spec, COSTS)) == 3


def test_the_narrowed_study_is_a_valid_one(spec: StudySpec) -> None:
    small = narrowed(spec, COSTS)
    assert to_plain(parse_study(to_yaml(small))) == to_plain(small)


def test_a_single_backbone_that_is_left_is_no_longer_searched(spec: StudySpec) -> None:
    strict = spec.model_copy(update={"limits": spec.limits.model_copy(update={"parameters": 1e4})})
    small = narrowed(strict, COSTS)
    assert small.search.backbone == Fixed("toy:cnn")


def test_nothing_left_is_an_error_with_every_measurement(spec: StudySpec) -> None:
    none = spec.model_copy(update={"limits": spec.limits.model_copy(update={"latency_ms": 0.5})})
    with pytest.raises(LimitsUnmetError) as error:
        narrowed(none, COSTS)
    assert error.value.exit_code == 1
    lines = str(error.value).splitlines()
    assert len(lines) == 8
    assert "  timm:resnet18 at 96 px: latency_ms 16.5 > 0.5" in lines


def test_without_costs_nothing_is_left_out(spec: StudySpec) -> None:
    assert narrowed(spec, ()) is spec
