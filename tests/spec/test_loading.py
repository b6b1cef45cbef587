from __future__ import annotations

from pathlib import Path

import pytest

from selector.errors import InputError, StudyFileError
from selector.records import Scalar
from selector.spec import from_plain, load_study, parse_study, readable_parts, to_plain
from selector.spec.domains import Choice, Fixed, IntRange, LogUniform

from .conftest import MINIMAL, Problems

FULL_OF_MISTAKES = """\
name: My Study
data: {path: x, source: y, pth: 2, split: {test: 2}}
metric: {name: f1_mcro, goal: maximise}
name: b
serch: 1
lr: 3
search:
  backbone: [toy:cnn, "${UNSET_BACKBONE}"]
  lr: {log_unform: [1, 2]}
  batch_size: {int: [64, 16]}
  optimizer: adam
budget:
  time: 45 minutes
  trials: true
pruner: !foo x
backbones: {toy:cn: {weight: x}}
start_from: [{lrr: 1}, 3]
"""


def test_a_minimal_study_has_sensible_defaults(minimal: str) -> None:
    spec = parse_study(minimal)
    assert spec.search.backbone == Choice(("toy:cnn", "timm:resnet18"))
    assert spec.search.lr == LogUniform(1e-5, 1e-2)
    assert spec.search.freeze_depth == IntRange(0, 5)
    assert spec.search.image_size == Fixed(224)
    assert (spec.budget.trials, spec.budget.time) == (20, None)
    assert (spec.sampler.name, spec.pruner.name) == ("tpe", "auto")
    assert (spec.data.split.validation, spec.data.split.test) == (0.15, 0.15)


def test_every_mistake_is_reported_in_one_pass_in_the_order_of_the_file(problems: Problems) -> None:
    found = problems(FULL_OF_MISTAKES)
    places = [":".join(problem.split(":")[:4]) for problem in found]
    assert places == [
        "study.yaml:1:1: name",
        "study.yaml:2:17: data.source",
        "study.yaml:2:28: data.pth",
        "study.yaml:2:44: data.split.test",
        "study.yaml:3:10: metric.name",
        "study.yaml:3:25: metric.goal",
        "study.yaml:4:1: name",
        "study.yaml:5:1: serch",
        "study.yaml:6:1: lr",
        "study.yaml:8:23: search.backbone[1]",
        "study.yaml:9:3: search.lr",
        "study.yaml:10:3: search.batch_size",
        "study.yaml:11:3: search.optimizer",
        "study.yaml:13:3: budget.time",
        "study.yaml:14:3: budget.trials",
        "study.yaml:15:1: pruner",
        "study.yaml:16:22: backbones.toy",
        "study.yaml:17:15: start_from[0].lrr",
        "study.yaml:17:24: start_from[1]",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("serch: 1", "unknown key. Did you mean 'search'?"),
        ("lr: 1e-3", "unknown key. Did you mean 'search.lr'?"),
        ("final: {}", "unknown key."),
        ("weights: imagenet", "Allowed: pretrained, random."),
        ("training: {precision: fp8}", "Allowed: auto, fp32, bf16, fp16."),
        ("budget: {trials: 0}", "0 should be greater than or equal to 1"),
        ("budget: {trials: 2.5}", "expected a whole number, got 2.5"),
        ("budget: {target: high}", "expected a number, got 'high'"),
        ("budget: [20]", "expected a mapping of keys, got a list"),
        ("device: gpu", "Allowed: auto, cpu, cuda or cuda:0."),
        ("sampler: {n: 3}", "the name is missing"),
        ("seed: -1", "-1 should be greater than or equal to 0"),
        ("seed: 99999999999999999999", "is too large a number"),
        ("description: [a]", "expected text, got a list"),
    ],
)
def test_a_wrong_line_gets_one_message(
    minimal: str, problems: Problems, line: str, message: str
) -> None:
    found = problems(f"{minimal}{line}\n")
    assert len(found) == 1
    assert found[0].startswith("study.yaml:6:")
    assert message in found[0]


@pytest.mark.parametrize("key", ["name", "data", "metric", "search"])
def test_a_required_key_that_is_missing_is_named(
    minimal: str, problems: Problems, key: str
) -> None:
    lines = minimal.splitlines()
    kept = [line for line in lines if not line.startswith((f"{key}:", "  "))]
    if key == "search":
        assert len(kept) == 3
    else:
        kept = [line for line in kept if not line.startswith("search")]
        kept.append("search: {backbone: toy:cnn}")
    (found,) = problems("\n".join(kept))
    assert found.startswith(f"study.yaml:1:1: {key}: is required")


def test_the_goal_is_required(minimal: str, problems: Problems) -> None:
    (found,) = problems(minimal.replace(", goal: maximize", ""))
    assert found.startswith("study.yaml:3:1: metric.goal: is required; goal: maximize or")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found an empty file"),
        ("# only a comment\n", "found an empty file"),
        ("- a\n- b\n", "study.yaml:1:1: found a list"),
        ("just words", "found 'just words'"),
        ("!!python/object:os.system x", "tags such as tag:yaml.org,2002:python/object:os.system"),
    ],
)
def test_what_is_not_a_mapping_gets_one_clear_line(
    problems: Problems, text: str, message: str
) -> None:
    (found,) = problems(text)
    assert message in found
    assert "\n" not in found


def test_a_text_key_takes_the_characters_as_written(minimal: str) -> None:
    text = minimal.replace("goal: maximize", "goal: maximize, positive_class: 007")
    spec = parse_study(text.replace("name: flowers", "name: 2024"))
    assert (spec.name, spec.metric.positive_class) == ("2024", "007")


def test_a_key_whose_lines_are_commented_out_means_its_defaults(minimal: str) -> None:
    assert parse_study(f"{minimal}budget:\n  # trials: 3\nbackbones:\n") == parse_study(minimal)


@pytest.mark.parametrize("text", ["none", "null", "~", ""])
def test_pruning_is_switched_off_by_none_and_by_null(minimal: str, text: str) -> None:
    assert parse_study(f"{minimal}pruner: {text}\n").pruner.name == "none"


def test_a_member_has_options(minimal: str) -> None:
    text = f"{minimal}sampler: {{name: grid, steps: {{lr: 5}}}}\npruner: hyperband\n"
    spec = parse_study(text)
    assert (spec.sampler.name, spec.sampler.options) == ("grid", {"steps": {"lr": 5}})
    assert (spec.pruner.name, spec.pruner.options) == ("hyperband", {})


def test_numbers_in_exponent_form_are_numbers(minimal: str) -> None:
    spec = parse_study(f"{minimal}  lr: {{log_uniform: [1e-5, 1.0e-2]}}\n  weight_decay: 1e-4\n")
    assert spec.search.lr == LogUniform(1e-5, 1e-2)
    assert spec.search.weight_decay == Fixed(1e-4)


def test_a_file_is_loaded_with_its_path_in_messages(tmp_path: Path, minimal: str) -> None:
    path = tmp_path / "my.yaml"
    path.write_text(f"\ufeff{minimal}", encoding="utf-8")  # a byte order mark is no mistake
    assert load_study(path).name == "flowers"
    path.write_text(f"{minimal}sed: 1\n", encoding="utf-8")
    with pytest.raises(StudyFileError) as caught:
        load_study(path)
    assert caught.value.problems[0].startswith(f"{path}:6:1: sed: unknown key. Did you mean 'seed'")


def test_a_missing_file_names_the_path(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"No study file at '.*nope\.yaml'"):
        load_study(tmp_path / "nope.yaml")


def test_a_folder_instead_of_a_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Cannot read the study file"):
        load_study(tmp_path)


def test_a_file_that_is_not_utf_8_names_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes("name: a\ndescription: für\n".encode("latin-1"))
    with pytest.raises(StudyFileError, match=r"latin\.yaml:2:15: byte 0xfc is not UTF-8"):
        load_study(path)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    path.write_bytes(b"#" * 1_000_001)
    with pytest.raises(StudyFileError, match="larger than 250 kB"):
        load_study(path)


def test_a_stored_study_is_read_back_without_filling_in_variables(minimal: str) -> None:
    spec = parse_study(minimal.replace("data/flowers", '"$${HOME}/x"'))
    assert spec.data.path == "${HOME}/x"
    assert from_plain(to_plain(spec)) == spec


def test_a_stored_study_that_no_longer_fits_says_so(minimal: str) -> None:
    plain = to_plain(parse_study(minimal)) | {"final": {}}
    with pytest.raises(StudyFileError, match="stored study: final: unknown key"):
        from_plain(plain)


@pytest.mark.parametrize("value", [True, 3, 0.5])
def test_a_wrong_type_says_what_it_got(minimal: str, problems: Problems, value: Scalar) -> None:
    (found,) = problems(minimal.replace("[toy:cnn, timm:resnet18]", str(value).lower()))
    assert "is not a name" in found


@pytest.mark.parametrize(
    ("text", "sampler", "known"),
    [
        (f"{MINIMAL}sampler: grid\nseed: x\n", "grid", True),
        (f"{MINIMAL}  lr: fast\nsampler: grid\n", "grid", False),
        (f"{MINIMAL}sampler: {{nam: grid}}\n", "tpe", True),
        ("sampler: grid\n", "grid", False),
        ("sampler: grid\nsearch: 3\nmetric: 4\ndata: [5]\nbudget: 6\n1: 2\n", "grid", False),
        (f"{MINIMAL}sampler: grid\nstart_from: [{{lr: 7}}, 8]\n", "grid", False),
    ],
)
def test_the_rest_of_a_wrong_file_can_be_read(
    tmp_path: Path, text: str, sampler: str, known: bool
) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    parts = readable_parts(path)
    assert parts.rest is not None
    assert (parts.rest.sampler.name, parts.space_known) == (sampler, known)
