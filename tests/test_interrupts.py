"""What a process does when it is told to stop, once and again."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from selector import interrupts
from selector.interrupts import Stop, Terminated, held_back, terminable

HEAD = """
import sys, time
from selector import interrupts
from selector.interrupts import held_back, owned_process, terminable
interrupts.HOLD_SECONDS = 1.0

def say(text):
    print(text, flush=True)

def wait(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)

def step_after_step(stop, obedient=True):
    stop.asked()
    say("trains")
    while not (stop.asked() and obedient):
        time.sleep(0.01)
    say("keeps")
    stop.obey()
"""


def started(body: str) -> subprocess.Popen[str]:
    """A process that has said its first word."""
    process = subprocess.Popen(
        [sys.executable, "-c", HEAD + body],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "trains\n"
    return process


def ended(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    out, _ = process.communicate(timeout=20)
    return process.returncode, out.split()


OBEDIENT = """
try:
    with terminable(), held_back() as stop:
        step_after_step(stop)
except KeyboardInterrupt as error:
    say(type(error).__name__)
"""
STUBBORN = """
try:
    with terminable(), held_back() as stop:
        step_after_step(stop, obedient=False)
except KeyboardInterrupt as error:
    say(type(error).__name__)
"""
SLOW_TO_LEAVE = """
def leave():
    try:
        with owned_process(), terminable(once={once}):
            with held_back() as stop:
                try:
                    step_after_step(stop)
                except KeyboardInterrupt:
                    say("hands-back")
                    wait(3)
                    say("handed-back")
    except KeyboardInterrupt:
        say("raised")
leave()
"""


@pytest.mark.parametrize(
    ("number", "name"), [(signal.SIGTERM, "Terminated"), (signal.SIGINT, "KeyboardInterrupt")]
)
def test_a_stop_waits_for_the_step_to_end(number, name):
    process = started(OBEDIENT)
    process.send_signal(number)
    assert ended(process) == (0, ["keeps", name])


def test_a_step_that_does_not_end_is_left():
    process = started(STUBBORN)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert ended(process) == (0, ["Terminated"])
    assert 0.9 < time.monotonic() - began < 5


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_second_stop_ends_the_process_at_once(number, code):
    process = started(SLOW_TO_LEAVE.format(once=False))
    process.send_signal(number)
    time.sleep(interrupts.REPEAT_SECONDS + 0.3)
    process.send_signal(number)
    assert ended(process) == (code, ["keeps", "hands-back"])


def test_one_stop_that_is_sent_twice_is_one():
    process = started(SLOW_TO_LEAVE.format(once=False))
    process.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert ended(process) == (0, ["keeps", "hands-back", "handed-back"])


def test_who_is_killed_when_it_takes_too_long_hears_one_stop_only():
    process = started(SLOW_TO_LEAVE.format(once=True))
    process.send_signal(signal.SIGTERM)
    time.sleep(interrupts.REPEAT_SECONDS + 0.3)
    process.send_signal(signal.SIGTERM)
    assert ended(process) == (0, ["keeps", "hands-back", "handed-back"])


def test_a_program_that_uses_selector_is_not_ended_by_a_second_stop():
    process = started(SLOW_TO_LEAVE.replace("owned_process(), ", "").format(once=False))
    process.send_signal(signal.SIGTERM)
    time.sleep(interrupts.REPEAT_SECONDS + 0.3)
    process.send_signal(signal.SIGTERM)
    assert ended(process) == (0, ["keeps", "hands-back", "raised"])


def test_a_stop_is_raised_at_once_while_nobody_asks():
    with pytest.raises(Terminated), terminable(), held_back():
        signal.raise_signal(signal.SIGTERM)
        pytest.fail("it was held back")


def test_handlers_and_timer_are_as_they_were_afterwards():
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
    before = [signal.getsignal(number) for number in numbers]
    with pytest.raises(KeyboardInterrupt), terminable(), held_back() as stop:
        assert not stop.asked()
        signal.raise_signal(signal.SIGINT)
        assert stop.asked()
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
        stop.obey()
    assert [signal.getsignal(number) for number in numbers] == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with terminable():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_without_signals_nothing_is_ever_asked():
    stop = Stop(None)
    assert not stop.asked()
    stop.obey()
