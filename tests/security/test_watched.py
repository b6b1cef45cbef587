"""Offline, a study opens no socket; and nothing of it, report included, is ever unpickled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tests.cli.conftest import STUDY

# Python reports these events itself, whichever library causes them.
WATCHED = """\
import json, sys
from pathlib import Path

seen = {"pickle.find_class": [], "socket": []}

def hook(event, arguments):
    if event == "pickle.find_class":
        seen[event].append(repr(arguments))
    elif event in ("socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo",
                   "socket.gethostbyname", "urllib.Request", "http.client.connect"):
        seen["socket"].append(f"{event} {arguments!r}")

sys.addaudithook(hook)
from selector.cli import main

codes = []
for words in json.loads(sys.argv[1]):
    try:
        main(words)
    except SystemExit as end:
        codes.append(end.code or 0)
found = {"codes": codes, **{name: list(events) for name, events in seen.items()}}

import pickle, socket, contextlib
pickle.loads(pickle.dumps(main))
with contextlib.suppress(OSError), socket.socket() as one:
    one.connect(("127.0.0.1", 9))
found["hooks"] = [len(seen[name]) > len(found[name]) for name in ("pickle.find_class", "socket")]
Path("found.json").write_text(json.dumps(found))
"""
COMMANDS = (
    ("run", "study.yaml", "-q"),
    ("report", "tiny", "--format", "html", "-o", "report.html"),
    ("report", "tiny", "--format", "json"),
    ("show", "tiny", "0"),
    ("predict", "tiny", "one.png"),
    # Weights that are not on this machine.
    ("run", "study.yaml", "-q", "--fork", "other", "--set", "search.backbone=timm:resnet18"),
    ("validate", "study.yaml", "--set", "search.backbone=torchvision:resnet18"),
)


def test_offline_opens_no_socket_and_a_whole_study_unpickles_nothing(tmp_path: Path) -> None:
    found = watched(tmp_path)

    assert found.connected == ()
    assert found.unpickled == ()
    assert found.codes == (0, 0, 0, 0, 0, 4, 4), found.stderr
    for name in ("timm:resnet18", "torchvision:resnet18"):
        assert f"Pretrained weights of '{name}' are not on this machine" in found.stderr
    assert "Traceback" not in found.stderr


@dataclass(frozen=True)
class Watched:
    """What a process did: the exit codes of its commands, what it unpickled and connected to."""

    codes: tuple[int, ...]
    unpickled: tuple[str, ...]
    connected: tuple[str, ...]
    stderr: str


def watched(place: Path) -> Watched:
    """Every command on a small study, offline and without any downloaded weights."""
    (place / "study.yaml").write_text(STUDY)
    (place / "watched.py").write_text(WATCHED)
    Image.new("RGB", (16, 16), "white").save(place / "one.png")
    done = subprocess.run(
        [sys.executable, "watched.py", json.dumps(COMMANDS)],
        cwd=place,
        env={
            **os.environ,
            "SELECTOR_OFFLINE": "1",
            "SELECTOR_STORE": f"sqlite:///{place / 'selector.db'}",
            "SELECTOR_CACHE": str(place / "cache"),
            "SELECTOR_ARTIFACTS": str(place / "artifacts"),
            "TORCH_HOME": str(place / "torch"),
            "HF_HOME": str(place / "hub"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((place / "found.json").read_text())
    assert found["hooks"] == [True, True]
    return Watched(
        tuple(found["codes"]),
        tuple(found["pickle.find_class"]),
        tuple(found["socket"]),
        done.stderr,
    )
