"""A study file that somebody sends, read without trusting whoever did; loads nothing heavy."""

from __future__ import annotations

import re
from pathlib import Path

from selector.errors import InputError, ProblemsError, StudyFileError
from selector.spec import StudySpec, parse_study

_VARIABLE = re.compile(r"(?<!\$)\$\{")


def read_sent(raw: bytes, *, folder: Path) -> StudySpec:
    """The study that `raw` describes; all files that it names lie below `folder`.

    It has no variables, for the environment here is not the sender's. Raises InputError or
    ProblemsError with every mistake.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("study.yaml: not UTF-8; save the file as UTF-8.") from None
    if _VARIABLE.search(text):
        raise InputError(
            "study.yaml: a study that is sent has no variables such as ${NAME}; write the value."
        )
    spec = parse_study(text)
    _refuse_reaching_out(spec)
    _refuse_outside(spec, folder)
    return spec


def _refuse_reaching_out(spec: StudySpec) -> None:
    """Raise ProblemsError where the study would start programs or call addresses from here."""
    asked = {
        "data.path is a URL": spec.data.path is not None and "://" in spec.data.path,
        "notify": spec.notify is not None,
        "writers": bool(spec.writers),
        "executor": spec.executor.name != "local",
        "schedule": spec.schedule is not None,
    }
    problems = [
        f"study.yaml: {what}: a study that is sent cannot ask for that; leave it out, or begin the "
        "study with selector run."
        for what, found in asked.items()
        if found
    ]
    if problems:
        raise ProblemsError(problems)


def _refuse_outside(spec: StudySpec, folder: Path) -> None:
    """Raise ProblemsError where the study names files that do not lie below `folder`."""
    named = {"data.path": spec.data.path} if spec.data.path is not None else {}
    for backbone, block in spec.backbones.items():
        if block.weights not in (None, "pretrained", "random"):
            named[f"the weights of {backbone}"] = str(block.weights).removeprefix("file:")
    root = folder.resolve()
    outside = [
        f"study.yaml: {what} leads out of the folder that this server reads studies from."
        for what, path in named.items()
        if not _below(root, path)
    ]
    if outside:
        raise ProblemsError(outside)


def _below(root: Path, path: str) -> bool:
    try:
        return (root / Path(path).expanduser()).resolve().is_relative_to(root)
    except (OSError, RuntimeError, ValueError) as error:  # no such user, too long, a NUL
        raise StudyFileError([f"study.yaml: {path!r} is no path: {error}."]) from None
