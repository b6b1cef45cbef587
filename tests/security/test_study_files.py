"""A study file is data: it runs nothing, and whatever it holds is answered soon, in few words."""

from __future__ import annotations

import resource
import string
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selector.errors import StudyFileError
from selector.spec import load_study, parse_study
from tests.cli.conftest import invoke

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
    for old, new in zip(string.ascii_lowercase[:9], string.ascii_lowercase[1:10], strict=True)
)
HOSTILE = {
    "billion laughs": (LAUGHS, "more than 20000 values"),
    "an alias of itself": ("a: &a [*a]\n", "unknown alias"),
    "nested lists": (f"a: {'[' * 200_000}", "nested deeper"),
    "nested mappings": (f"a: {'{b: ' * 50_000}", "nested deeper"),
    "nested dashes": ("- " * 100_000, "nested deeper"),
    "many values": (f"a: [{'1,' * 110_000}]", "more than 20000 values"),
    "one key again and again": ("k: 1\n" * 50_000, "more than 20000 values"),
    "a long tag": (f"a: !{'x' * 200_000} b", "tags such as"),
    "a long number": (f"a: {'9' * 240_000}", "too large a number"),
    "a long text": (f'a: "{"x" * 240_000}"', "a: unknown key"),
    "long folded text": (f"a: {'x ' * 4}" + "x\n   " * 48_000, "a: unknown key"),
    "many unknown keys": ("".join(f"k{i}: 1\n" for i in range(3_000)), "more mistakes"),
    "only comments": ("#\n" * 120_000, "an empty file"),
    "a long line of colons": (":" * 240_000, "not YAML"),
}
CODE = (
    "!!python/object/apply:os.system ['touch hacked']",
    "!!python/object/new:subprocess.Popen [['touch', 'hacked']]",
    "!!python/name:os.system",
    "!!python/module:os",
    "!!binary aGFja2Vk",
    "!ruby/object:Gem::Installer {i: x}",
    "!<tag:yaml.org,2002:python/object/apply:os.system> ['touch hacked']",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_refused_soon_and_in_few_words(name: str) -> None:
    text, message = HOSTILE[name]
    began = time.process_time()

    with pytest.raises(StudyFileError) as caught:
        parse_study(text)

    assert time.process_time() - began < 10
    assert message in str(caught.value)
    assert len(str(caught.value)) < 100_000


@pytest.mark.parametrize("value", CODE)
def test_a_tag_is_refused_and_runs_nothing(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(StudyFileError, match="tags such as"):
        parse_study(f"name: {value}\n")

    assert list(tmp_path.iterdir()) == []


@given(text=st.text(alphabet="[]{}&*!%-:?|>'\",# \n\tab0", max_size=300))
def test_any_mixture_of_signs_is_one_refusal(text: str) -> None:
    with pytest.raises(StudyFileError):
        parse_study(text)


def test_a_file_of_any_size_costs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    with path.open("wb") as file:
        file.truncate(50 * 2**30)  # sparse: it takes no room on the disk
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(StudyFileError, match="larger than 250 kB"):
        load_study(path)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_the_command_answers_a_bomb_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(LAUGHS)

    result = invoke("validate", tmp_path / "study.yaml")

    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1 and "more than 20000 values" in result.stderr
