"""Champions that a person makes, and going back."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from selector.cli.app import app
from selector.errors import ConflictError, InputError, LimitsUnmetError
from selector.exporters import gate
from selector.promotion import bundle_of, in_line, promote, rollback
from selector.records import Champion, Decision, Promotion
from selector.store import Store
from tests.garden import SPRING, grow


@pytest.fixture
def store(garden: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{garden / 'selector.db'}") as opened:
        yield opened


def selector(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), prog_name="selector")


def others(store: Store) -> list[int]:
    """The candidates that are not the champion."""
    champion = store.champions.present("flowers")
    assert champion is not None
    return [t.number for t in store.trials("flowers") if t.number != champion.trial]


def test_a_candidate_is_promoted_by_hand_and_rolled_back_again(garden: Path, store: Store) -> None:
    first = store.champions.present("flowers")
    assert first is not None
    one = others(store)[0]
    by_hand = promote(store, "flowers", trial=one, reason="fewer mistakes on roses")
    assert by_hand.champion.trial == one and by_hand.previous == first
    assert bundle_of(by_hand.champion).is_dir()
    with pytest.raises(ConflictError, match="is the champion already"):
        promote(store, "flowers", trial=one)
    assert rollback(store, "flowers").champion == first
    with pytest.raises(InputError, match="no earlier champion"):
        rollback(store, "flowers")
    said = [(d.decision.action, d.decision.reason) for d in store.champions.decisions("flowers")]
    assert said[1:] == [
        ("by_hand", "fewer mistakes on roses"),
        ("rollback", f"back from trial {one} of 'flowers'"),
    ]


def test_going_back_again_and_again_goes_further_back() -> None:
    a, b, c = (champion(number) for number in (1, 2, 3))
    line: list[Promotion] = []
    for action, after in (("first", a), ("swap", b), ("kept", b), ("by_hand", c)):
        line.append(decided(action, after))
    assert in_line(line) == [a, b, c]
    assert in_line([*line, decided("rollback", b)]) == [a, b]
    assert in_line([*line, decided("rollback", b), decided("rollback", a)]) == [a]
    assert in_line([*line, decided("rollback", b), decided("swap", c)]) == [a, b, c]


def champion(number: int) -> Champion:
    return Champion(
        id=number,
        name="flowers",
        study="flowers",
        trial=number,
        bundle=f"flowers/{number}",
        fingerprint="f",
        made_at=dt.datetime(2026, 1, number, tzinfo=dt.UTC),
    )


def decided(action: Any, after: Champion) -> Promotion:
    return Promotion(
        number=1,
        name="flowers",
        decision=Decision(action=action, study="flowers", trial=0, reason="", who="me@here"),
        champion=after,
        previous=None,
        at=after.made_at,
    )


def test_what_fails_the_gate_is_not_promoted(
    garden: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "EXACT_PROBABILITY", -1.0)  # no export can be that exact
    before = store.champions.decisions("flowers")
    refused = selector("promote", "flowers", "--trial", str(others(store)[0]))
    assert refused.exit_code == 1 and "parity gate" in refused.stderr
    assert store.champions.decisions("flowers") == before


def test_what_exceeds_the_limits_is_not_promoted_and_its_bundle_not_kept_for_later(
    garden: Path, store: Store
) -> None:
    study = store.require_study("flowers")
    limits = {**study.spec["limits"], "size_mb": 1e-6}
    store.update_study(replace(study, spec={**study.spec, "limits": limits}))
    one = others(store)[0]
    with pytest.raises(LimitsUnmetError, match="size_mb"):
        promote(store, "flowers", trial=one)
    (left,) = (garden / "artifacts/flowers/champions").glob(f"flowers-trial-{one:04d}-*")
    assert left.suffix == ".failed"


def test_a_study_whose_data_has_changed_cannot_be_promoted_from(garden: Path, store: Store) -> None:
    grow(garden / "images", SPRING, 5, seed=2)
    with pytest.raises(ConflictError, match="has changed since it ran"):
        promote(store, "flowers", trial=others(store)[0])


def test_an_earlier_champion_can_be_promoted_whatever_became_of_the_data(
    garden: Path, store: Store
) -> None:
    first = store.champions.present("flowers")
    assert first is not None
    promote(store, "flowers", trial=others(store)[0])
    grow(garden / "images", SPRING, 5, seed=2)
    assert promote(store, "flowers", trial=first.trial).champion == first


def test_the_command_line_prints_the_bundle_and_the_history(garden: Path, store: Store) -> None:
    champion = store.champions.present("flowers")
    assert champion is not None
    path = selector("champion", "flowers", "--path")
    assert path.stdout == f"{bundle_of(champion)}\n"
    assert f"trial {champion.trial} of flowers" in selector("champion", "flowers").stdout
    one = others(store)[0]
    done = selector("promote", "flowers", "--trial", str(one), "--reason", "roses")
    assert done.exit_code == 0 and f"trial {one} of flowers" in done.stdout
    assert selector("rollback", "flowers").exit_code == 0
    rows = json.loads(selector("champion", "flowers", "--history", "--format", "json").stdout)
    assert [row["action"] for row in rows] == ["rollback", "by_hand", "first"]
    assert rows[1]["reason"] == "roses" and "@" in rows[1]["who"]
    table = selector("champion", "flowers", "--history").stdout
    assert "rolled back" in table and "roses" in table
    csv = selector("champion", "flowers", "--history", "--format", "csv").stdout.splitlines()
    assert csv[0].startswith("number,at,action") and len(csv) == 4


def test_a_study_without_a_champion_and_an_unknown_one_are_told_apart(
    garden: Path, store: Store
) -> None:
    unknown = selector("champion", "flower")
    assert unknown.exit_code == 2 and "Unknown study 'flower'" in unknown.stderr
    store.create_study(replace(store.require_study("flowers"), name="weeds"))
    without = selector("champion", "weeds")
    assert without.exit_code == 2 and "no champion yet" in without.stderr


def test_a_bundle_on_another_machine_is_not_pointed_at(
    garden: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELECTOR_ARTIFACTS", str(garden / "elsewhere"))
    missing = selector("champion", "flowers", "--path")
    assert missing.exit_code == 4 and "not on this machine" in missing.stderr
    assert missing.stdout == ""


def test_renewing_on_the_command_line_says_in_one_line_that_nothing_changed(garden: Path) -> None:
    done = selector("renew", "study.yaml", "--quiet")
    assert done.exit_code == 0
    assert done.stdout.startswith("flowers: nothing to do; the data is unchanged")
    plain = json.loads(selector("renew", "study.yaml", "-q", "--format", "json").stdout)
    assert plain["outcome"] == "unchanged" and plain["champion"]["study"] == "flowers"


def test_a_decision_that_is_left_to_a_person_ends_with_exit_code_1(garden: Path) -> None:
    grow(garden / "images", {"tulip": (60, 60, 200)}, seed=8)
    done = selector("renew", "study.yaml", "--quiet")
    assert done.exit_code == 1
    assert done.stdout.startswith("flowers: undecided; the classes changed (gained tulip)")
