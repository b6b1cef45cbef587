from __future__ import annotations

import pytest

from selector.spec import parse_study

from .conftest import MINIMAL, Problems

OWN_LR = "backbones: {timm:resnet18: {search: {lr: {uniform: [1, 2]}}}}\n"


def test_a_block_for_a_backbone_that_is_not_searched_is_refused(problems: Problems) -> None:
    (found,) = problems(f"{MINIMAL}backbones: {{timm:resnet: {{weights: x}}}}\n")
    assert found == (
        "study.yaml:6:13: backbones.timm:resnet: 'timm:resnet' is not in search.backbone."
        " Did you mean 'timm:resnet18'? Allowed: toy:cnn, timm:resnet18."
    )


def test_a_block_cannot_search_backbones_or_unknown_parameters(problems: Problems) -> None:
    block = "{toy:cnn: {search: {backbone: a, lrr: 1, lr: 0}}}"
    found = problems(f"{MINIMAL}backbones: {block}\n")
    assert len(found) == 3
    assert "backbones.toy:cnn.search.backbone: unknown parameter 'backbone'" in found[0]
    assert "unknown parameter 'lrr'. Did you mean 'lr'?" in found[1]
    assert "0 is out of bounds" in found[2]


def test_configurations_to_start_from_are_values_of_their_kind() -> None:
    spec = parse_study(f"{MINIMAL}start_from:\n  - {{lr: 1e-3, freeze_depth: 2}}\n")
    assert spec.start_from == ({"lr": 1e-3, "freeze_depth": 2},)
    spec = parse_study(f"{MINIMAL}{OWN_LR}start_from: [{{backbone: timm:resnet18, lr: 1}}]\n")
    assert spec.start_from == ({"backbone": "timm:resnet18", "lr": 1.0},)
    assert isinstance(spec.start_from[0]["lr"], float)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("{lr: 1}", "start_from[0].lr: 1.0 is outside of search.lr, {log_uniform: [1e-05, 0.01]}"),
        ("{image_size: 96}", "96 is outside of search.image_size, 224; widen it"),
        ("{batch_size: 17}", "17 is outside of search.batch_size, [16, 32, 64]"),
        ("{backbone: toy:cn}", "'toy:cn' is not in search.backbone. Did you mean 'toy:cnn'?"),
        ("{lrr: 1}", "unknown parameter 'lrr'. Did you mean 'lr'?"),
        ("{freeze_depth: 1.5}", "1.5 is not a whole number"),
        ("{}", "expected a configuration such as {lr: 1e-3}, got an empty one"),
        ("3", "start_from[0]: expected a configuration such as {lr: 1e-3}, got 3"),
    ],
)
def test_a_configuration_outside_of_the_space_is_refused(
    problems: Problems, start: str, message: str
) -> None:
    (found,) = problems(f"{MINIMAL}start_from:\n  - {start}\n")
    assert found.startswith("study.yaml:7:")
    assert message in found


def test_a_configuration_is_checked_against_the_space_of_its_backbone(problems: Problems) -> None:
    start = "start_from: [{backbone: timm:resnet18, lr: 1e-3}, {lr: 1e-3}, {lr: 1.5}, {lr: 3}]\n"
    found = problems(MINIMAL + OWN_LR + start)
    assert [problem.split(": ")[1] for problem in found] == ["start_from[0].lr", "start_from[3].lr"]


def test_start_from_is_a_list(problems: Problems) -> None:
    (found,) = problems(f"{MINIMAL}start_from: {{lr: 1e-3}}\n")
    assert "expected a list of configurations" in found


def test_mistakes_between_keys_are_reported_beside_mistakes_within_keys(
    problems: Problems,
) -> None:
    text = f"{MINIMAL}  momentum: 2\nbackbones: {{x: {{}}}}\nstart_from: [{{lr: 1}}]\nseed: a\n"
    assert len(problems(text)) == 4
