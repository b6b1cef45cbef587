"""`notify` in a study file: what is allowed, and what is refused with the way out."""

from __future__ import annotations

import pytest

from selector.errors import StudyFileError
from selector.spec import from_plain, parse_study, to_plain
from selector.spec.notify import shown

STUDY = """
name: flowers
data: {source: "builtin:digits"}
metric: {name: f1_macro, goal: maximize}
search: {backbone: toy:cnn}
"""


def test_a_command_and_a_webhook_are_read_with_their_defaults() -> None:
    spec = parse_study(
        STUDY + "notify: {command: [mail, -s, done], url: https://example.org/x, on: [failure]}\n"
        "writers: [tensorboard, {name: mlflow, uri: 'http://localhost:5000'}]\n"
    )
    assert spec.notify is not None
    assert spec.notify.command == ("mail", "-s", "done")
    assert (spec.notify.on, spec.notify.retries) == (("failure",), 3)
    assert [each.name for each in spec.writers] == ["tensorboard", "mlflow"]
    assert from_plain(to_plain(spec)) == spec
    assert parse_study(STUDY).notify is None
    assert parse_study(STUDY + "notify:\nwriters:\n").writers == ()


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("{}", "name a url, a command or both"),
        ("{url: 'http://example.org/hook'}", "Allowed: https, or http on this machine"),
        ("{url: 'file:///etc/passwd'}", "is no URL"),
        ("{url: 'https://ann:secret@example.org'}", "SELECTOR_WEBHOOK_SECRET"),
        ("{command: 'rm -rf x'}", "There is no shell"),
        ("{command: []}", "at least 1 item"),
        ("{command: ['']}", "must not be empty"),
        ("{command: [mail], on: [finished]}", "finish"),
        ("{command: [mail], on: []}", "at least 1 item"),
        ("{command: [mail], retries: 11}", "10"),
    ],
)
def test_what_cannot_be_told_is_refused(block: str, expected: str) -> None:
    with pytest.raises(StudyFileError) as caught:
        parse_study(STUDY + f"notify: {block}\n")
    assert len(caught.value.problems) == 1
    assert expected in caught.value.problems[0]
    assert "secret@" not in str(caught.value)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_plain_http_is_for_this_machine(host: str) -> None:
    url = f"http://{host}:8000/hook?token=abc"
    spec = parse_study(STUDY + f"notify: {{url: '{url}'}}\n")
    assert spec.notify is not None and spec.notify.url == url
    assert shown(url) == f"http://{host}:8000"
