from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selector.errors import InputError, StudyFileError
from selector.spec import parse_study
from selector.spec.yaml_text import read_yaml


def test_places_are_those_of_keys_and_of_list_items() -> None:
    document = read_yaml("a: 1\nb: {c: 2, d: [x, y]}\n", source="f")
    assert document.value == {"a": 1, "b": {"c": 2, "d": ["x", "y"]}}
    assert str(document.places[("b", "d")]) == "f:2:11"
    assert str(document.places[("b", "d", 1)]) == "f:2:18"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "f:1:6: not YAML: expected ',' or ']'"),
        ("a:\n\tb: 1", "f:2:1: not YAML: a tab indents this line. Indent with spaces."),
        ("a: *nope", "f:1:4: unknown alias '*nope'"),
        ("a: &x [*x]", "unknown alias '*x'"),
        ("a: 1\n---\nb: 2", "f:2:1: a second document starts here"),
        ("%YAML 1.1\n---\na: no", "study files are YAML 1.2"),
        ("a: \x00", "f:1:4: not YAML: the character U+0000 is not allowed"),
        ("a: {p: ${X}}", "a variable needs quotes"),
        ("[" * 30, "nested deeper than 20 levels"),
        ("#" * 1_000_001, "larger than 250 kB"),
        ("é" * 600_000, "larger than 250 kB"),
    ],
)
def test_text_that_is_not_yaml_gets_one_line_with_its_position(text: str, message: str) -> None:
    with pytest.raises(StudyFileError) as caught:
        read_yaml(text, source="f")
    (found,) = caught.value.problems
    assert message in found
    assert "\n" not in found


def test_aliases_are_filled_in() -> None:
    document = read_yaml("a: &lr {log_uniform: [1e-4, 1e-2]}\nb: *lr\n", source="f")
    assert document.value["b"] == {"log_uniform": [1e-4, 1e-2]}


def test_aliases_that_multiply_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for n in range(1, 9):
        lines.append(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]")
    with pytest.raises(StudyFileError, match="more than 20000 values, aliases written out"):
        read_yaml("\n".join(lines), source="f")


def test_all_duplicate_keys_and_tags_are_found() -> None:
    document = read_yaml("a: 1\nb: !foo x\na: 2\nc: {d: 1, d: 2}\n[x]: 3\n", source="f")
    found = [f"{problem.place}: {problem.message}" for problem in document.problems]
    assert found == [
        "f:2:1: tags such as !foo are not allowed; remove it.",
        "f:3:1: duplicate key; 'a' is already given in line 1.",
        "f:4:11: duplicate key; 'd' is already given in line 4.",
        "f:5:1: a key is a word, not a list or mapping.",
    ]
    assert document.value["a"] == 1


_WORDS = st.sampled_from(
    [
        *"\n :-{}[],&*!|>'\"#%@`?~\t\\",
        *("\n  ", ": ", "- ", "${", "${A", "$${", "&a ", "*a", "!!str ", "<<: ", "...", "---"),
        *("%YAML 9.9", '"\\ud800"', "1e999", ".inf", "9" * 40, "0x", "null", "name: ", "data: "),
        *("search: ", "lr: ", "backbone: ", "log_uniform: ", "int: ", "start_from: "),
    ]
)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.one_of(st.text(max_size=80), st.lists(_WORDS, max_size=25).map("".join)))
def test_junk_is_an_input_error_and_never_a_crash(text: str) -> None:
    try:
        parse_study(text)
    except InputError as error:
        assert str(error)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.lists(_WORDS, max_size=12).map("".join), st.lists(_WORDS, max_size=6).map("".join))
def test_junk_in_an_otherwise_good_study_is_never_a_crash(below: str, override: str) -> None:
    text = (
        "name: a\ndata: {path: x}\nmetric: {name: mcc, goal: maximize}\n"
        "search:\n  backbone: toy:cnn\n  "
    )
    try:
        parse_study(text + below, overrides=[override, f"search.lr={override}", f"{override}=1"])
    except InputError as error:
        assert str(error)
