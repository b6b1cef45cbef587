from __future__ import annotations

import pytest

from selector.spec.domains import (
    AnyDomain,
    Choice,
    Fixed,
    IntRange,
    LogUniform,
    Uniform,
    contains,
    values_of,
)
from selector.spec.parameters import BACKBONE, PARAMETERS, read_value
from selector.spec.schema import SearchSpec
from selector.spec.space import read_domain, write_domain


@pytest.mark.parametrize(
    ("name", "written", "domain"),
    [
        ("lr", 1, Fixed(1.0)),
        ("lr", [1e-3, 1e-2], Choice((1e-3, 1e-2))),
        ("lr", [1e-3], Fixed(1e-3)),
        ("lr", {"log_uniform": [1e-5, 1e-2]}, LogUniform(1e-5, 1e-2)),
        ("lr", {"choice": [0.1, 0.2]}, Choice((0.1, 0.2))),
        ("label_smoothing", {"uniform": [0, 0.2]}, Uniform(0.0, 0.2)),
        ("label_smoothing", {"uniform": [0, 0.3], "step": 0.1}, Uniform(0.0, 0.3, 0.1)),
        ("label_smoothing", {"uniform": [0.1, 0.1]}, Fixed(0.1)),
        ("freeze_depth", {"int": [0, 5]}, IntRange(0, 5)),
        ("freeze_depth", {"int": [0, 4], "step": 2}, IntRange(0, 4, 2)),
        ("batch_size", {"int": [8, 128], "log": True}, IntRange(8, 128, 1, True)),
        ("batch_size", 32.0, Fixed(32)),
        ("optimizer", ["adamw", "sgd"], Choice(("adamw", "sgd"))),
        ("augment", "trivial", Fixed("trivial")),
    ],
)
def test_a_written_domain_is_read(name: str, written: object, domain: AnyDomain) -> None:
    read = read_domain(PARAMETERS[name], written)
    assert read == domain
    assert [type(v) for v in values_of(read)] == [type(v) for v in values_of(domain)]
    assert read_domain(PARAMETERS[name], write_domain(read)) == read


@pytest.mark.parametrize(
    ("name", "written", "message"),
    [
        ("lr", 0, "0 is out of bounds. Allowed: a number above 0"),
        ("lr", "1e-3", "'1e-3' is not a number"),
        ("lr", True, "true is not a number"),
        ("lr", float("inf"), "inf is not a number"),
        ("lr", None, "the value is missing"),
        ("lr", [], "expected a list of choices, got an empty list"),
        ("lr", [1, 1.0], "1.0 is listed twice"),
        ("lr", [[1]], "a list is not a number"),
        ("lr", {}, "found nothing"),
        ("lr", {"log_unifrom": [1, 2]}, "Did you mean 'log_uniform'?"),
        ("lr", {"uniform": [1, 2], "choice": [1]}, "found uniform, choice"),
        ("lr", {"log_uniform": [1, 2], "step": 1}, "unknown key 'step' beside log_uniform"),
        ("lr", {"log_uniform": [0.1, 0.001]}, "[0.1, 0.001] is upside down; write [0.001, 0.1]"),
        ("lr", {"log_uniform": 3}, "expected log_uniform: [low, high], got 3"),
        ("lr", {"log_uniform": [1, 2, 3]}, "got a list of 3"),
        ("lr", {"int": [1, 2]}, "int does not suit lr; write {uniform: [low, high]}"),
        ("weight_decay", {"log_uniform": [0, 1]}, "a logarithmic range starts above 0, not at 0"),
        ("momentum", 1, "a number from 0 to below 1"),
        ("label_smoothing", {"uniform": [0, 1]}, "1 is out of bounds"),
        ("layer_decay", [0.5, 1.5, 0], "1.5 is out of bounds"),
        (
            "freeze_depth",
            {"int": [0, 6]},
            "6 is out of bounds. Allowed: a whole number from 0 to 5",
        ),
        ("freeze_depth", {"int": [0, 5], "step": 2}, "step 2 does not divide [0, 5]"),
        ("freeze_depth", {"int": [0, 5], "step": 0}, "step is a whole number above 0, not 0"),
        ("freeze_depth", {"int": [0, 4], "log": True}, "a logarithmic range starts above 0"),
        ("batch_size", {"int": [8, 16], "log": 1}, "log is true or false, not 1"),
        ("batch_size", {"int": [8, 16], "log": True, "step": 2}, "step and log exclude each other"),
        ("batch_size", {"uniform": [8, 16]}, "write {int: [low, high]}"),
        ("batch_size", 16.5, "16.5 is not a whole number"),
        ("image_size", 4, "a whole number from 8 to 2048"),
        ("optimizer", "adam", "'adam' is unknown. Did you mean 'adamw'?"),
        ("optimizer", {"int": [0, 1]}, "write a list of choices"),
        ("schedule", 3, "3 is not a name. Allowed: one of cosine, constant"),
    ],
)
def test_a_wrong_domain_says_what_is_allowed(name: str, written: object, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        read_domain(PARAMETERS[name], written)
    assert message in str(caught.value)


@pytest.mark.parametrize("written", [3, "", " ", [None], {"uniform": [0, 1]}])
def test_a_backbone_is_a_name(written: object) -> None:
    with pytest.raises(ValueError, match=r"not a name|write a list of choices"):
        read_domain(BACKBONE, written)


def test_a_domain_built_in_python_obeys_the_same_limits() -> None:
    with pytest.raises(ValueError, match="out of bounds"):
        SearchSpec(backbone=Fixed("toy:cnn"), lr=LogUniform(1e-3, 1000.0))


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_default_of_every_parameter_is_a_legal_domain(name: str) -> None:
    default = SearchSpec.model_fields[name].default
    assert read_domain(PARAMETERS[name], default) == default
    for value in values_of(default):
        assert read_value(PARAMETERS[name], value) == value


@pytest.mark.parametrize(
    ("domain", "inside", "outside"),
    [
        (Fixed(0.1), 0.1, 0.2),
        (Choice(("a", "b")), "b", "c"),
        (Uniform(0.0, 1.0), 0.3, 1.1),
        (Uniform(0.0, 0.3, 0.1), 0.2, 0.25),
        (LogUniform(1e-5, 1e-2), 1e-2, 2e-2),
        (IntRange(0, 4, 2), 2, 3),
        (IntRange(0, 4), 3, 2.5),
        (IntRange(0, 1), 1, True),
        (Uniform(0.0, 1.0), 1, "1"),
    ],
)
def test_a_domain_contains_what_it_can_draw(
    domain: AnyDomain, inside: str | float, outside: str | float
) -> None:
    assert contains(domain, inside)
    assert not contains(domain, outside)
