"""Notices reach a real server and real programs, once; what fails says so in one line."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from selector.events import Event, NoticeFailed
from selector.notices import notify, payload_of, webhook
from selector.records import BestTrial, Notice, TrialCounts
from selector.spec.notify import NotifySpec
from tests.notices.receiver import receiving

NOTICE = Notice(
    kind="finish",
    study="flowers",
    reason="4 trials",
    metric="f1_macro",
    goal="maximize",
    run=3,
    trials=TrialCounts(complete=3, failed=1),
    best=BestTrial(trial=2, backbone="toy:cnn", score=float("nan")),
)


class Told:
    """An observer that keeps what it hears."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)


def send(spec: NotifySpec, tmp_path: Path, notice: Notice = NOTICE) -> tuple[str, ...] | str:
    """Whom it reached, or the line about the failure."""
    told = Told()
    reached = notify(notice, spec, base=tmp_path, observe=told)
    if told.events:
        (failed,) = told.events
        assert isinstance(failed, NoticeFailed)
        assert "\n" not in failed.reason
        return f"{failed.target}: {failed.reason}"
    return reached


def test_the_payload_is_as_documented() -> None:
    assert json.loads(payload_of(NOTICE)) == {
        "schema": "selector.notice/1",
        "id": NOTICE.id,
        "time": NOTICE.time.isoformat(timespec="seconds"),
        "kind": "finish",
        "study": "flowers",
        "run": 3,
        "host": os.uname().nodename,
        "reason": "4 trials",
        "error": None,
        "metric": {"name": "f1_macro", "goal": "maximize"},
        "trials": {"complete": 3, "pruned": 0, "failed": 1, "running": 0},
        "best": {"trial": 2, "backbone": "toy:cnn", "score": None},
        "details": {},
    }


def test_a_swap_brings_its_champions_along(tmp_path: Path) -> None:
    details = {"before": "trial 3 of run 1", "after": "trial 7 of run 2", "gain": float("inf")}
    swap = replace(NOTICE, kind="swap", run=None, details=details)
    with receiving() as receiver:
        send(NotifySpec(url=receiver.url, on=("swap",)), tmp_path, swap)
    ((headers, body),) = receiver.got
    assert headers["X-Selector-Event"] == "swap"
    document = json.loads(body)
    assert document["details"] == {**details, "gain": None}
    assert document["run"] is None


def test_a_webhook_gets_the_payload_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELECTOR_WEBHOOK_SECRET", "open sesame")
    with receiving() as receiver:
        reached = send(NotifySpec(url=receiver.url), tmp_path)
    assert reached == (receiver.url.removesuffix("/hook?token=abc"),)
    ((headers, body),) = receiver.got
    assert body == payload_of(NOTICE)
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Selector-Event"] == "finish"
    assert headers["X-Selector-Delivery"] == NOTICE.id
    expected = hmac.new(b"open sesame", body, hashlib.sha256).hexdigest()
    assert headers["X-Selector-Signature"] == f"sha256={expected}"


def test_without_a_secret_nothing_is_signed(tmp_path: Path) -> None:
    with receiving() as receiver:
        send(NotifySpec(url=receiver.url), tmp_path)
    assert "X-Selector-Signature" not in receiver.got[0][0]


def post(url: str, *, retries: int = 3, timeout_seconds: float = 60.0) -> str | None:
    return webhook.post(
        url,
        payload_of(NOTICE),
        notice=NOTICE,
        secret=None,
        timeout_seconds=timeout_seconds,
        retries=retries,
        backoff_seconds=0.001,
    )


def test_a_receiver_that_is_busy_is_asked_again_under_the_same_id() -> None:
    with receiving([503, 429]) as receiver:
        assert post(receiver.url) is None
    assert [headers["X-Selector-Delivery"] for headers, _ in receiver.got] == [NOTICE.id] * 3


def test_a_receiver_that_refuses_is_not_asked_again() -> None:
    with receiving([403]) as receiver:
        assert post(receiver.url) == "it answered 403."
    assert len(receiver.got) == 1


def test_retries_are_bounded_and_the_secret_path_is_not_shown(tmp_path: Path) -> None:
    with receiving([500] * 9) as receiver:
        assert post(receiver.url, retries=2) == "it answered 500 (tried 3 times)."
        line = send(NotifySpec(url=receiver.url, retries=0), tmp_path)
    assert line == f"{receiver.url.partition('/hook')[0]}: it answered 500 (tried once)."
    with receiving() as gone:
        pass
    assert "refused" in str(post(gone.url))


def test_a_receiver_that_hangs_is_given_up() -> None:
    with receiving() as receiver:
        receiver.hold.clear()
        assert "timed out" in str(post(receiver.url, retries=0, timeout_seconds=0.2))


def test_a_redirect_is_not_followed() -> None:
    with receiving() as elsewhere, receiving([302]) as receiver:
        receiver.location = elsewhere.url
        assert post(receiver.url) == "it answered 302."
    assert elsewhere.got == []


def test_a_command_gets_the_payload_on_its_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELECTOR_WEBHOOK_SECRET", "open sesame")
    script = (
        "import os, sys; from pathlib import Path;"
        "Path('got.json').write_bytes(sys.stdin.buffer.read());"
        "Path('words').write_text(sys.argv[1] + str('SELECTOR_WEBHOOK_SECRET' in os.environ))"
    )
    words = (sys.executable, "-c", script, "a; touch b $HOME")
    assert send(NotifySpec(command=words), tmp_path) == (sys.executable,)
    assert (tmp_path / "got.json").read_bytes() == payload_of(NOTICE)
    assert (tmp_path / "words").read_text() == "a; touch b $HOMEFalse"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("/no/such/program",), "it cannot be started: No such file or directory."),
        (
            (sys.executable, "-c", "print('first'); print('no \\x1b[2J'); raise SystemExit(3)"),
            r"it ended with exit code 3: no \x1b[2J.",
        ),
        (("false",), "it ended with exit code 1."),
        (("true",), None),  # it never reads its input
    ],
)
def test_a_command_that_fails_is_one_line(
    words: tuple[str, ...], expected: str | None, tmp_path: Path
) -> None:
    line = send(NotifySpec(command=words), tmp_path)
    assert line == ((words[0],) if expected is None else f"{words[0]}: {expected}")


def test_a_command_that_hangs_is_killed_with_all_it_started(tmp_path: Path) -> None:
    # Its child says its number once it lives, and would hold the command's output for ever.
    script = (
        "import subprocess, sys, pathlib;"
        "p = subprocess.Popen(['sleep', '3600']);"
        "pathlib.Path('child.tmp').write_text(str(p.pid));"
        "pathlib.Path('child.tmp').rename('child');"
        "p.wait()"
    )
    spec = NotifySpec(command=(sys.executable, "-c", script), timeout_seconds=2)
    line = send(spec, tmp_path)
    assert "it took longer than 2 s and was killed." in line
    if (tmp_path / "child").exists():  # on a machine that started it in time
        child = int((tmp_path / "child").read_text())
        psutil.wait_procs([psutil.Process(child)] if psutil.pid_exists(child) else [], timeout=120)
        assert (
            not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
        )


def test_only_the_kinds_that_are_asked_for_are_told(tmp_path: Path) -> None:
    with receiving() as receiver:
        spec = NotifySpec(url=receiver.url, on=("failure", "swap"))
        assert send(spec, tmp_path) == ()
        assert notify(NOTICE, None, base=tmp_path, observe=Told()) == ()
    assert receiver.got == []
