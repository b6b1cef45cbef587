"""Names that steer a terminal are written out by every command, on both of its outputs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from selector.store import Store
from tests.cli.conftest import STUDY, Command

ESCAPES = "\x1b[2J\x1b]0;owned\x07"
HOSTILE = (f"cat{ESCAPES}", "dog\u202egod\u2066", "<script>alert(1)</script>"[:9] + "\x9b31m")
# Whatever steers a terminal or reorders what is read; line ends and our own blanks may stay.
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


@pytest.fixture
def hostile(selector: Command, place: Path) -> Command:
    """A finished study on images in classes of hostile names."""
    for level, name in enumerate(HOSTILE):
        folder = place / "images" / name
        folder.mkdir(parents=True)
        for number in range(12):
            Image.new("RGB", (16, 16), (80 * level, 10 * number, 0)).save(
                folder / f"{number}\x1b[1m.png"
            )
    text = STUDY.replace('{source: "builtin:digits", limit: 200}', "{path: images}")
    (place / "study.yaml").write_text(text)
    result = selector("run", "study.yaml", "--set", "budget.trials=1")
    assert result.exit_code == 0, result.stderr
    assert UNSAFE.findall(result.output) == []
    return selector


def test_no_command_lets_a_name_steer_the_terminal(hostile: Command, place: Path) -> None:
    commands = [
        *(("list", "--format", f) for f in ("table", "json", "csv", "md")),
        *(("show", "tiny", "--format", f) for f in ("table", "json", "csv", "md")),
        *(("show", "tiny", "0", "--format", f) for f in ("table", "json", "csv", "md")),
        *(("report", "tiny", "--format", f) for f in ("table", "json", "csv", "md")),
        *(("predict", "tiny", "images", "--format", f) for f in ("table", "json", "csv", "md")),
        ("run", "study.yaml", "--dry-run"),
        ("validate", "study.yaml"),
        ("init", "images", "--force", "-o", "other.yaml"),
        ("validate", f"no{ESCAPES}.yaml"),
        ("show", f"no{ESCAPES}"),
        ("show", "tiny", f"no{ESCAPES}"),
        ("predict", "tiny", f"no{ESCAPES}.png"),
        ("run", "study.yaml", "--set", f"data.path=no{ESCAPES}"),
        ("run", "study.yaml", "--set", f"no{ESCAPES}=1"),
        ("run", "study.yaml", "--set", f"search.backbone=no{ESCAPES}"),
        ("retry", "tiny", "--cause", f"no{ESCAPES}"),
        (f"no{ESCAPES}",),
        ("show", "tiny", f"--no{ESCAPES}"),
        ("report", "tiny", "--format", f"no{ESCAPES}"),
        ("list", "--store", f"no{ESCAPES}"),
    ]
    steered = {
        words: found for words in commands if (found := UNSAFE.findall(hostile(*words).output))
    }
    assert steered == {}


def test_the_message_of_a_failure_steers_nothing(selector: Command, place: Path, results) -> None:  # type: ignore[no-untyped-def]
    import dataclasses

    with Store.open(f"sqlite:///{place / 'selector.db'}") as store:
        store.create_study(results.study())
        run_id = store.begin_run(results.run_start())
        store.start_trial("flowers", run_id, results.trial_start(0))
        message, cause = f"it broke{ESCAPES}", f"bug{ESCAPES}"
        end = dataclasses.replace(results.failed(0), failure_message=message, failure_cause=cause)
        store.finish_trial("flowers", end)

    for words in (("show", "flowers"), ("show", "flowers", "0"), ("retry", "flowers")):
        assert UNSAFE.findall(selector(*words).output) == [], words
