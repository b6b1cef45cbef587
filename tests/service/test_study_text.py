"""A study file that somebody sends asks for nothing that its sender must not have."""

from __future__ import annotations

from pathlib import Path

import pytest

from selector.errors import ProblemsError
from selector.service.study_text import read_sent

STUDY = """
name: sent
data: {source: "builtin:digits"}
metric: {name: f1_macro, goal: maximize}
search: {backbone: toy:cnn}
"""


def test_an_ordinary_study_is_read(tmp_path: Path) -> None:
    assert read_sent(STUDY.encode(), folder=tmp_path).name == "sent"


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ("notify: {command: [touch, /tmp/x]}", "notify"),
        ("notify: {url: 'https://169.254.169.254/'}", "notify"),
        ("writers: [{name: mlflow, uri: 'http://10.0.0.1'}]", "writers"),
        ("executor: {name: ray, address: '10.0.0.1:6379'}", "executor"),
        ("schedule: {cron: '* * * * *'}", "schedule"),
    ],
)
def test_what_reaches_out_from_the_server_is_refused(more: str, what: str, tmp_path: Path) -> None:
    with pytest.raises(ProblemsError, match=f"study.yaml: {what}: a study that is sent cannot"):
        read_sent(f"{STUDY}{more}\n".encode(), folder=tmp_path)


@pytest.mark.parametrize("url", ["s3://bucket/x", "http://169.254.169.254/x", "file:///etc"])
def test_data_behind_a_url_is_refused(url: str, tmp_path: Path) -> None:
    text = STUDY.replace('{source: "builtin:digits"}', f"{{path: '{url}'}}")
    with pytest.raises(ProblemsError, match=r"data\.path is a URL"):
        read_sent(text.encode(), folder=tmp_path)
