from __future__ import annotations

import pytest

from selector.spec.scalars import escape, read_scalar, resolve


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1.0e-5", 1e-5),
        (".5", 0.5),
        ("-3", -3),
        ("010", 10),
        ("0x1F", 31),
        ("0o17", 15),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
    ],
)
def test_a_scalar_has_the_type_that_yaml_1_2_gives_it(text: str, value: object) -> None:
    resolved = resolve(text)
    assert resolved == value
    assert type(resolved) is type(value)


@pytest.mark.parametrize("text", ["no", "yes", "on", "12:30", "2026-01-01", "1_000", "1e", "0b1"])
def test_what_only_older_yaml_takes_for_a_value_is_text(text: str) -> None:
    assert resolve(text) == text


@pytest.mark.parametrize("text", [".inf", "-.INF", ".nan", "1e999", "9" * 30, "9" * 5000])
def test_a_number_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"finite|too large"):
        resolve(text)


def test_half_of_a_character_is_refused() -> None:
    with pytest.raises(ValueError, match="half of a character"):
        read_scalar("\ud800", plain=False)


@pytest.mark.parametrize("plain", [True, False])
def test_a_whole_variable_is_read_as_a_value_even_in_quotes(
    monkeypatch: pytest.MonkeyPatch, plain: bool
) -> None:
    monkeypatch.setenv("TRIALS", "12")
    assert read_scalar("${TRIALS}", plain=plain) == ("12", 12)
    assert read_scalar("${NO_SUCH_VARIABLE:-1e-3}", plain=plain) == ("1e-3", 1e-3)


def test_a_variable_is_filled_in_within_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOT", "/data")
    assert read_scalar("${ROOT}/${SET_NOWHERE:-flowers}", plain=True)[1] == "/data/flowers"


def test_an_empty_variable_counts_as_unset_where_there_is_a_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ROOT", "")
    assert read_scalar("${ROOT:-here}", plain=True)[1] == "here"


def test_an_unset_variable_is_named() -> None:
    with pytest.raises(ValueError, match=r"\$\{NO_SUCH_VARIABLE\} is not set; set it or write"):
        read_scalar("a/${NO_SUCH_VARIABLE}", plain=True)


@pytest.mark.parametrize("text", ["${}", "${a b}", "${1}", "${A", "${A:-${B}}", "${A-b}"])
def test_a_variable_written_wrongly_says_how(text: str) -> None:
    with pytest.raises(ValueError, match="write a variable as"):
        read_scalar(text, plain=True)


@pytest.mark.parametrize("text", ["${A}", "$${A}", "a ${", "$$${", "$"])
def test_escaped_text_is_read_as_itself(text: str) -> None:
    assert read_scalar(escape(text), plain=False) == (text, text)
