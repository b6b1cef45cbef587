"""The command line: each command parses, calls and prints."""

from selector.cli.app import main

__all__ = ["main"]
