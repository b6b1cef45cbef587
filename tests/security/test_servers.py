"""Every command that listens does so for this machine alone, unless told otherwise."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import click
import pytest
import typer

import selector
from selector.cli.app import app

LISTENING = {
    name: command
    for name, command in typer.main.get_command(app).commands.items()  # type: ignore[attr-defined]
    if any(parameter.name == "host" for parameter in command.params)
}


@pytest.mark.parametrize("name", sorted(LISTENING))
def test_a_server_listens_to_this_machine_alone(name: str) -> None:
    command: click.Command = LISTENING[name]
    (host,) = (parameter for parameter in command.params if parameter.name == "host")

    assert host.default == "127.0.0.1"


def test_the_dashboard_is_among_them() -> None:
    assert "dashboard" in LISTENING


def test_no_address_of_all_networks_is_written_anywhere() -> None:
    package = Path(inspect.getfile(selector)).parent
    found = [
        f"{path.name}:{node.lineno}"
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in ("0.0.0.0", "::", "*:0")
    ]
    assert found == []
