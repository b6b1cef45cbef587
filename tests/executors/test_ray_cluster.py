"""What Ray's executor refuses, says and leaves alone, beside what every executor promises."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import psutil
import pytest

from selector import executors
from selector.errors import InputError, ProblemsError, UnavailableError
from selector.events import Event, WorkerNote
from selector.executors import ray_cluster
from selector.records import ProcessName, Seat
from selector.spec import parse_study
from tests.executors import workers
from tests.executors.clusters import Cluster, raylet_pid
from tests.test_working import STUDY

SEAT = Seat(number=0, device="cpu")


def checked(text: str, **options: object) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        executors.load("ray", options).check(parse_study(STUDY + text))
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"adress": "auto"}, "Did you mean 'address'"),
        ({"address": "ray://head:10001"}, r"Allowed: auto, local, or HOST:PORT"),
        ({"address": "head"}, r"Allowed: auto, local, or HOST:PORT"),
        ({"cpus_per_worker": 0}, "cpus_per_worker"),
        ({"gpus_per_worker": 2}, "gpus_per_worker"),
    ],
)
def test_wrong_options_are_named_with_what_is_allowed(
    options: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        executors.load("ray", options)


def test_a_device_that_only_ray_can_give_is_refused_together_with_the_rest() -> None:
    first, second = checked("device: cuda:1\ntrials_per_device: 2\n")
    assert "Use device: auto or cuda" in first
    assert "gpus_per_worker: 0.5" in second
    (only,) = checked("device: cuda\n", gpus_per_worker=0)
    assert "would see no GPU" in only


def test_a_share_of_a_gpu_is_allowed() -> None:
    executors.load("ray", {"gpus_per_worker": 0.25}).check(parse_study(STUDY + "device: cuda\n"))


def test_without_ray_the_way_to_install_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UnavailableError, match=r"pip install 'selector-finetune\[ray\]'"):
        executors.load("ray").check(parse_study(STUDY))


def test_an_address_where_nobody_answers_is_named_at_once() -> None:
    ray = executors.load("ray", {"address": "127.0.0.1:9"})
    with pytest.raises(UnavailableError, match=r"No Ray cluster answers at '127\.0\.0\.1:9'"):
        ray.run(workers.says_where_it_is, [SEAT], observe=lambda event: None)


def test_a_worker_that_finds_no_room_says_what_it_waits_for(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_cluster, "ROOM_SECONDS", 0.0)
    notes: list[str] = []

    def leave(event: Event) -> None:
        assert isinstance(event, WorkerNote)
        notes.append(event.text)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        executors.load("ray", {"cpus_per_worker": 64}).run(
            workers.says_where_it_is, [SEAT], observe=leave
        )

    assert notes == [
        "waits for a node with room: it takes 64 CPUs and 0 GPUs, free in the cluster are "
        "3 CPUs and 0 GPUs."
    ]


def test_a_process_whose_actor_was_killed_is_named_before_it_is_replaced(
    cluster: Cluster, tmp_path: Path
) -> None:
    told: list[ProcessName | str] = []

    def lose_the_actor(event: Event) -> None:
        if isinstance(event, WorkerNote):
            told.append(event.text)
        elif len(list(tmp_path.glob("*.life"))) == 1:
            (worker,) = (int(path.read_text()) for path in tmp_path.glob("*.life"))
            parent = psutil.Process(worker).parent()
            assert parent is not None
            parent.kill()

    results = executors.load("ray").run(
        partial(workers.works_in_its_second_life, tmp_path),
        [SEAT],
        observe=lose_the_actor,
        died=told.append,
    )

    assert results == ("done",)
    process, note = told
    assert isinstance(process, ProcessName)
    assert (tmp_path / f"{process.pid}.life").exists()
    assert str(note).startswith("was lost with its Ray actor on ")
    assert str(note).endswith("; started again.")


def test_the_settings_of_the_command_reach_the_workers_but_for_the_store(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SELECTOR_STORE", "postgresql://u:secret@h/db")
    monkeypatch.setenv("SELECTOR_LEASE_SECONDS", "77")
    monkeypatch.setenv("SELECTOR_ARTIFACTS", "here")

    (seen,) = executors.load("ray").run(
        workers.names_its_settings, [SEAT], observe=lambda event: None
    )

    assert seen["SELECTOR_LEASE_SECONDS"] == "77"
    assert seen["SELECTOR_ARTIFACTS"] == str(tmp_path / "here")
    assert "secret" not in str(seen)


def test_the_handlers_of_signals_stay_those_of_the_program(cluster: Cluster) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    executors.load("ray").run(workers.trains, [SEAT], observe=lambda event: None)
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
    assert threading.current_thread() is threading.main_thread()


LOCAL = """\
import ray  # by the program itself, before anybody could tell it where to listen
from selector import executors
from selector.records import Seat
from tests.executors import workers

if __name__ == "__main__":
    ray = executors.load("ray", {"address": "local"})
    print(ray.run(workers.lists_open_ports, [Seat(number=0, device="cpu")],
                  observe=lambda event: None))
"""


@pytest.mark.storm
def test_a_ray_of_its_own_listens_on_loopback_only_and_ends_with_the_run(
    tmp_path: Path, short_folder: Path
) -> None:
    (tmp_path / "program.py").write_text(LOCAL)
    environment = {key: value for key, value in os.environ.items() if "RAY_" not in key}
    environment |= {"RAY_TMPDIR": str(short_folder), "PYTHONPATH": os.pathsep.join(sys.path)}
    program = subprocess.Popen(
        [sys.executable, str(tmp_path / "program.py")],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    said, errors = program.communicate(timeout=180)

    assert program.returncode == 0, errors
    ((addresses, left),) = ast.literal_eval(said)
    assert addresses == ["127.0.0.1"]
    assert left, "it did look at Ray's processes"
    psutil.wait_procs([psutil.Process(pid) for pid in left if psutil.pid_exists(pid)], timeout=60)
    assert not [pid for pid in left if psutil.pid_exists(pid)]
    assert errors == ""


def test_the_cluster_of_these_tests_listens_on_loopback_only(cluster: Cluster) -> None:
    raylet = psutil.Process(raylet_pid(cluster.head))
    assert workers.listening([raylet, *raylet.children(recursive=True)]) == ["127.0.0.1"]
