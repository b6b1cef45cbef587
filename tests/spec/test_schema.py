from __future__ import annotations

import pytest
from pydantic import ValidationError

from selector.errors import StudyFileError, UnknownNameError
from selector.spec import parse_study
from selector.spec.domains import Fixed, LogUniform
from selector.spec.schema import DataSpec, MetricSpec, SearchSpec, StudySpec

from .conftest import MINIMAL, Problems

OWN = """\
backbones:
  timm:resnet18:
    weights: w.safetensors
    search: {lr: {log_uniform: [1e-4, 1e-3]}, optimizer: adamw}
"""


def test_a_backbone_has_its_own_domains_over_the_shared_ones() -> None:
    spec = parse_study(MINIMAL + OWN)
    assert spec.backbone_names == ("toy:cnn", "timm:resnet18")
    assert spec.space_of("timm:resnet18")["lr"] == LogUniform(1e-4, 1e-3)
    assert spec.space_of("toy:cnn")["lr"] == LogUniform(1e-5, 1e-2)
    assert spec.space_of("toy:cnn").keys() == SearchSpec.model_fields.keys() - {"backbone"}


def test_only_parameters_whose_domains_differ_are_conditional() -> None:
    spec = parse_study(MINIMAL + OWN)
    assert spec.conditional == {"lr"}  # the block's optimizer is what all have anyway
    assert "lr" not in spec.shared_space()
    assert spec.shared_space()["optimizer"] == Fixed("adamw")
    assert parse_study(MINIMAL).conditional == frozenset()


def test_the_space_of_a_backbone_outside_the_study_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'toy:cnn'"):
        parse_study(MINIMAL).space_of("toy:cn")


def test_a_study_is_built_in_python_like_from_a_file() -> None:
    spec = StudySpec(
        name="flowers",
        data=DataSpec(path="data/flowers"),
        metric=MetricSpec(name="f1_macro", goal="maximize"),
        search=SearchSpec.model_validate({"backbone": ["toy:cnn", "timm:resnet18"]}),
    )
    assert spec == parse_study(MINIMAL)


def test_a_study_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        parse_study(MINIMAL).seed = 3  # type: ignore[misc]


def test_metric_and_goal_must_agree(problems: Problems) -> None:
    (found,) = problems(MINIMAL.replace("f1_macro", "log_loss"))
    assert found == (
        "study.yaml:3:26: metric.goal: 'maximize' contradicts log_loss, which gets better the"
        " lower it is; write goal: minimize."
    )


def test_a_binary_metric_needs_its_positive_class(problems: Problems) -> None:
    (found,) = problems(MINIMAL.replace("f1_macro", "f1_binary"))
    assert "metric.positive_class: is required for f1_binary" in found
    text = MINIMAL.replace("f1_macro", "f1_binary").replace(
        "maximize", "maximize, positive_class: a"
    )
    assert parse_study(text).metric.positive_class == "a"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{}", "study.yaml:2:1: data: where the data is, is missing"),
        ("{path: a, source: b}", "study.yaml:2:17: data.source: path and source exclude"),
        ("{path: a, split: {validation: 0.6, test: 0.4}}", "leave nothing to train on"),
        ("{path: a, split: {validation: 0}}", "data.split.validation: 0 should be greater than 0"),
        ('{path: ""}', "data.path: the text is empty"),
        ("{path: a, on_bad_image: ignore}", "Allowed: refuse, skip."),
        ("{path: a, on_duplicates: move}", "Allowed: refuse, move_to_train."),
        ("flowers", "data: expected a mapping of keys, got 'flowers'"),
    ],
)
def test_wrong_data_keys_are_refused(problems: Problems, data: str, message: str) -> None:
    (found,) = problems(MINIMAL.replace("{path: data/flowers}", data))
    assert message in found


@pytest.mark.parametrize("value", ["0", "257", "atuo", "true", "2.0", "null"])
def test_trials_per_device_is_a_whole_number_or_auto(problems: Problems, value: str) -> None:
    (found,) = problems(f"{MINIMAL}trials_per_device: {value}\n")
    assert found.endswith("is not allowed. Allowed: auto, 1 to 256.")
    assert parse_study(f"{MINIMAL}trials_per_device: auto\n").trials_per_device == "auto"


@pytest.mark.parametrize("value", ["high", "2", "0", "1", "true", "[0.5]"])
def test_a_threshold_is_tuned_or_a_probability(value: str) -> None:
    with pytest.raises(StudyFileError) as found:
        parse_study(f"{MINIMAL}\nthreshold: {value}\n")
    (problem,) = found.value.problems
    assert "threshold: expected tune or a number between 0 and 1, got" in problem


def test_a_threshold_cannot_be_tuned_for_a_metric_of_probabilities() -> None:
    text = MINIMAL.replace("f1_macro", "auroc")
    with pytest.raises(StudyFileError, match="auroc does not depend on it"):
        parse_study(f"{text}\nthreshold: tune\n")
    assert parse_study(f"{text}\nthreshold: 0.3\n").threshold == 0.3
