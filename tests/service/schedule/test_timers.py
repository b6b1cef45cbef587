"""The examples of docs/schedule.md for cron, systemd and Kubernetes: read, checked and run."""

from __future__ import annotations

import configparser
import datetime as dt
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
from cronsim import CronSim
from pydantic import BaseModel, ConfigDict, Field
from ruamel.yaml import YAML

from tests.service.schedule.conftest import STUDY

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/schedule.md"
INSTALLED = "/srv/selector"  # in the examples
BOUND_SECONDS = 120.0


def blocks(language: str) -> list[str]:
    """The page's fenced blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder as the examples have it: the program, and a study that is not due now."""
    program = tmp_path / ".venv/bin/selector"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m selector.cli "$@"\n')
    program.chmod(0o755)
    month = (dt.datetime.now(dt.UTC).month + 5) % 12 + 1
    text = STUDY.format(name="nightly", cron=f"0 2 1 {month} *", overlap="skip", catch_up="once")
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies/nightly.yaml").write_text(text)
    return tmp_path


def run(command: list[str], *, cwd: Path, environment: dict[str, str]) -> str:
    """What the command printed; it must succeed in an environment with nothing else."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "HOME": str(cwd), **environment},
        capture_output=True,
        text=True,
        timeout=BOUND_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_the_crontab_has_a_calendar_and_a_command_that_runs(installed: Path) -> None:
    (text,) = blocks("crontab")
    *assignments, line = text.replace(INSTALLED, str(installed)).strip().splitlines()
    *fields, command = line.split(maxsplit=5)
    assert next(CronSim(" ".join(fields), dt.datetime(2026, 6, 1, 12, 1))).minute == 5
    environment = dict(assignment.split("=", 1) for assignment in assignments)
    assert "%" not in command  # which means a new line to cron
    run(["/bin/sh", "-c", command], cwd=Path("/"), environment=environment)
    assert (installed / "schedule.log").read_text().splitlines()[-1] == "Nothing is due."
    assert (installed / "selector.db").exists()


def units(installed: Path) -> dict[str, str]:
    """The units by file name, as they are for the folder of this test."""
    names = re.findall(r"`/etc/systemd/system/(\S+)`", PAGE.read_text())
    texts = [text.replace(INSTALLED, str(installed)) for text in blocks("ini")]
    return dict(zip(names, texts, strict=True))


def parsed(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, delimiters="=")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return parser


def test_the_systemd_service_has_a_command_that_runs(installed: Path) -> None:
    service = parsed(units(installed)["selector-schedule.service"])["Service"]
    assert service["Type"] == "oneshot"
    name, _, value = service["Environment"].partition("=")
    said = run(
        shlex.split(service["ExecStart"]),
        cwd=Path(service["WorkingDirectory"]),
        environment={name: value},
    )
    assert said.splitlines()[-1] == "Nothing is due."
    assert (installed / "selector.db").exists()


def test_the_systemd_timer_starts_the_service_of_its_name(installed: Path) -> None:
    names = units(installed)
    assert sorted(names) == ["selector-schedule.service", "selector-schedule.timer"]
    timer = parsed(names["selector-schedule.timer"])
    assert timer["Timer"]["OnCalendar"] == "*:0/5"
    assert timer["Install"]["WantedBy"] == "timers.target"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_systemd_finds_nothing_wrong_with_the_units(installed: Path, tmp_path: Path) -> None:
    files = []
    for name, text in units(installed).items():
        (tmp_path / name).write_text(text)
        files.append(str(tmp_path / name))
    checked = subprocess.run(
        ["systemd-analyze", "verify", *files], capture_output=True, text=True, timeout=BOUND_SECONDS
    )
    ours = [line for line in checked.stderr.splitlines() if "selector-schedule" in line]
    assert ours == []
    calendar = subprocess.run(
        ["systemd-analyze", "calendar", "*:0/5"], capture_output=True, text=True
    )
    assert calendar.returncode == 0, calendar.stderr


class Part(BaseModel):
    """A part of a manifest; the API server refuses keys that it does not know."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Named(Part):
    name: str


class KeyOf(Named):
    key: str


class ValueFrom(Part):
    secretKeyRef: KeyOf


class Variable(Named):
    value: str | None = None
    valueFrom: ValueFrom | None = None


class Mount(Named):
    mountPath: str
    readOnly: bool = False


class Container(Named):
    image: str
    command: list[str]
    env: list[Variable]
    volumeMounts: list[Mount]


class Claim(Part):
    claimName: str


class Volume(Named):
    configMap: Named | None = None
    persistentVolumeClaim: Claim | None = None


class PodSpec(Part):
    restartPolicy: Literal["Never", "OnFailure"]  # all that a batch pod may have
    terminationGracePeriodSeconds: int = Field(ge=30)
    containers: list[Container]
    volumes: list[Volume]


class PodTemplate(Part):
    spec: PodSpec


class BatchSpec(Part):
    backoffLimit: int
    template: PodTemplate


class BatchTemplate(Part):
    spec: BatchSpec


class CronSpec(Part):
    schedule: str
    concurrencyPolicy: Literal["Allow", "Forbid", "Replace"]
    startingDeadlineSeconds: int = Field(ge=10)  # below, the controller may miss it
    jobTemplate: BatchTemplate


class Manifest(Part):
    apiVersion: Literal["batch/v1"]
    kind: Literal["CronJob"]
    metadata: Named
    spec: CronSpec


def test_the_kubernetes_manifest_is_one_and_its_command_runs(installed: Path) -> None:
    (text,) = blocks("yml")
    plain: Any = YAML(typ="safe", pure=True).load(text)
    manifest = Manifest.model_validate(plain)
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,50}[a-z0-9])?", manifest.metadata.name)
    assert next(CronSim(manifest.spec.schedule, dt.datetime(2026, 6, 1, 12, 1))).minute == 5
    pod = manifest.spec.jobTemplate.spec.template.spec
    (container,) = pod.containers
    mounted = {mount.name: mount.mountPath for mount in container.volumeMounts}
    assert mounted.keys() == {volume.name for volume in pod.volumes}

    folders = {mounted["studies"]: installed / "studies", mounted["state"]: installed / "state"}
    environment = {"PATH": f"{installed / '.venv/bin'}:{os.defpath}"}
    for variable in container.env:
        value = variable.value or f"sqlite:///{installed / 'selector.db'}"
        environment[variable.name] = _below(value, folders)
    command = [_below(word, folders) for word in container.command]
    command[0] = str(installed / ".venv/bin" / command[0])
    said = run(command, cwd=installed, environment=environment)
    assert said.splitlines()[-1] == "Nothing is due."


def _below(text: str, folders: dict[str, Path]) -> str:
    """A path of the container as a path of this machine."""
    for inside, outside in folders.items():
        if text == inside or text.startswith(f"{inside}/"):
            return f"{outside}{text.removeprefix(inside)}"
    return text


def test_every_test_that_the_page_names_exists() -> None:
    tests = "\n".join(file.read_text() for file in (ROOT / "tests").rglob("test_*.py"))
    for name in re.findall(r"`((?:test_|\.\.\._)\w+)`", PAGE.read_text()):
        ending = name.removeprefix("...")
        assert re.search(rf"def \w*{ending}\(", tests), name
