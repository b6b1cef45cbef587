"""Messages send nobody to a command or an option that does not exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from typer.main import get_command

import selector
from selector.cli.app import app

# "selector run STUDY.yaml" or "`selector run`"; prose that starts so goes on without an argument.
_NAMED = re.compile(r"(?:: |`)selector ([a-z]+)")


def _texts() -> Iterator[tuple[str, str]]:
    for path in Path(selector.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield path.name, node.value


def test_every_command_that_a_message_names_exists() -> None:
    known = set(get_command(app).commands)  # type: ignore[attr-defined]
    named = {(file, name) for file, text in _texts() for name in _NAMED.findall(text)}
    assert {name for _, name in named} >= {"run", "show", "init"}
    assert {(file, name) for file, name in named if name not in known} == set()


def test_messages_speak_of_no_command_to_retry_or_delete() -> None:
    words = ("retry its trial", "delete it first")
    assert [file for file, text in _texts() for word in words if word in text] == []
