from __future__ import annotations

import pytest

from selector.records import Scalar
from selector.spec import parse_study
from selector.spec.domains import Choice, Fixed, IntRange, LogUniform, Uniform

from .conftest import MINIMAL, Problems


def test_values_are_replaced_and_the_last_one_wins() -> None:
    overrides = [
        "search.lr=1e-3",
        "weights=random",
        "budget.trials=9",
        "budget.trials=3",
        "search.backbone=[toy:cnn]",
        "data.path=/x y",
        "pruner=none",
        "budget.time=1h30m",
    ]
    spec = parse_study(MINIMAL, overrides=overrides)
    assert spec.search.lr == Fixed(1e-3)
    assert (spec.weights, spec.budget.trials, spec.budget.time) == ("random", 3, 5400)
    assert spec.search.backbone == Fixed("toy:cnn")
    assert (spec.data.path, spec.pruner.name) == ("/x y", "none")


def test_an_override_repairs_the_file() -> None:
    text = MINIMAL.replace("data/flowers", '"${NO_SUCH_VARIABLE}"')
    assert parse_study(text, overrides=["data.path=here"]).data.path == "here"


def test_a_text_value_needs_no_quotes() -> None:
    assert parse_study(MINIMAL, overrides=["name=2024"]).name == "2024"


@pytest.mark.parametrize(
    "key",
    ["backbones.timm:vit_tiny.augreg.weights", "backbones.timm:vit_tiny.augreg.search.lr"],
)
def test_a_backbone_with_dots_in_its_name_can_be_set(key: str) -> None:
    text = MINIMAL.replace("timm:resnet18", "timm:vit_tiny.augreg")
    spec = parse_study(text, overrides=[f"{key}=1"])
    block = spec.backbones["timm:vit_tiny.augreg"]
    assert block.weights == "1" or block.search == {"lr": Fixed(1.0)}


@pytest.mark.parametrize("written", ["", "sampler: random\n", "sampler: {name: random, a: 1}\n"])
def test_a_member_can_be_given_options_one_by_one(written: str) -> None:
    overrides = ["sampler.steps={lr: 3}", "sampler.seed=1"]
    sampler = parse_study(MINIMAL + written, overrides=overrides).sampler
    assert sampler.name == ("random" if written else "tpe")
    assert {"steps": {"lr": 3}, "seed": 1}.items() <= sampler.options.items()
    named = parse_study(MINIMAL + written, overrides=["sampler.name=gp"]).sampler
    assert named.name == "gp"


def test_a_range_replaces_the_whole_domain() -> None:
    text = f"{MINIMAL}  lr: {{log_uniform: [1e-4, 1e-3]}}\n"
    overrides = ["search.lr.uniform=[0.1, 0.2]", "search.freeze_depth.int=[1, 3]"]
    spec = parse_study(text, overrides=overrides)
    assert spec.search.lr == Uniform(0.1, 0.2)
    assert spec.search.freeze_depth == IntRange(1, 3)
    spec = parse_study(text, overrides=["backbones.toy:cnn.search.lr.log_uniform=[1e-4, 1]"])
    assert spec.backbones["toy:cnn"].search == {"lr": LogUniform(1e-4, 1.0)}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("search.lr=abc", "--set search.lr=abc: 'abc' is not a number."),
        ("budget.trails=3", "--set budget.trails=3: unknown key. Did you mean 'trials'?"),
        ("sed=3", "--set sed=3: unknown key. Did you mean 'seed'?"),
        ("backbones.toy:cn.weights=x", "backbones.toy:cn: 'toy:cn' is not in search.backbone."),
        ("backbones.toy:cnn.weigths=x", "unknown key. Did you mean 'weights'?"),
        ("search={backbone: toy:cnn, lr: 0}", "search.lr: 0 is out of bounds."),
        ("foo", "--set foo: write key=value, for example search.lr=1e-3."),
        ("=3", "--set =3: write key=value"),
        ("name.x=1", "--set name.x=1: name has no keys of its own; set it as a whole."),
        ("search.lr=[", "--set search.lr=[: not YAML: "),
        ("data.path=${NO_SUCH_VARIABLE}", "${NO_SUCH_VARIABLE} is not set"),
        ("data.path=!x y", "tags such as !x are not allowed"),
        ("data.split={test: 0.1, test: 0.2}", "data.split.test: duplicate key"),
        ("start_from.0.lr=1", "start_from has no keys of its own"),
        ("..=1", "unknown key"),
    ],
)
def test_a_wrong_override_is_named(problems: Problems, override: str, message: str) -> None:
    text = f"{MINIMAL}start_from: [{{lr: 1e-3}}]\n"
    found = problems(text, overrides=[override])
    assert len(found) == 1
    assert found[0].startswith("--set ")
    assert message in found[0]


@pytest.mark.parametrize(
    ("written", "values"),
    [("[16, 32]", (16, 32)), ("{choice: [8, 16]}", (8, 16))],
)
def test_a_choice_can_be_set(written: str, values: tuple[Scalar, ...]) -> None:
    spec = parse_study(MINIMAL, overrides=[f"search.batch_size={written}"])
    assert spec.search.batch_size == Choice(values)
