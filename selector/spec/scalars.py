"""YAML 1.2 scalars: environment variables filled in, then null, boolean, number or text."""

from __future__ import annotations

import os
import re

Plain = None | bool | int | float | str

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False}
_BOOLEANS["FALSE"] = False
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_VARIABLE = re.compile(r"\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}]*))?\})?")
_BASES = {"0o": 8, "0x": 16}
_INT_LIMIT = 2**63


def read_scalar(text: str, *, plain: bool) -> tuple[str, Plain]:
    """The text with its variables filled in, and its value; ValueError says what is wrong.

    A scalar that is one variable and nothing else is read like unquoted text even within quotes,
    because in `{trials: "${TRIALS:-20}"}` YAML demands them.
    """
    whole = _VARIABLE.fullmatch(text)
    filled = _VARIABLE.sub(_fill, text)
    if not filled.isascii():
        _refuse_half_characters(filled)
    only_variable = whole is not None and whole[1] is not None
    return filled, resolve(filled) if plain or only_variable else filled


def resolve(text: str) -> Plain:
    """What unquoted text means in YAML 1.2."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INT.fullmatch(text):
        return _int(text)
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is not a finite number.")
    if _FLOAT.fullmatch(text):
        return _float(text)
    return text


def escape(text: str) -> str:
    """`text` such that reading it fills in no variable."""
    return text.replace("${", "$${")


def _fill(match: re.Match[str]) -> str:
    if match[0] == "$${":
        return "${"
    name, default = match[1], match[2]
    if name is None:
        raise ValueError("write a variable as ${NAME} or ${NAME:-default}, a literal ${ as $${.")
    value = os.environ.get(name)
    if default is not None:
        return value or default  # as in a shell, an empty variable counts as unset
    if value is None:
        raise ValueError(f"${{{name}}} is not set; set it or write ${{{name}:-default}}.")
    return value


def _int(text: str) -> int:
    base = _BASES.get(text[:2], 10)
    # Python refuses to convert thousands of digits; no such number means anything here.
    number = int(text[2:] if base != 10 else text, base) if len(text) <= 30 else _INT_LIMIT
    if abs(number) >= _INT_LIMIT:
        raise ValueError(f"{text[:30]} is too large a number.")
    return number


def _float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:30]} is too large a number.")
    return number


def _refuse_half_characters(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("holds half of a character; write it as itself, in UTF-8.") from error
