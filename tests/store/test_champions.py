"""Champions in the store: decisions in one line, editions, and whose turn it is."""

from __future__ import annotations

import dataclasses
import math
import threading
from typing import Any

import numpy as np
import pytest

from selector.errors import ConflictError
from selector.records import (
    Challenge,
    Champion,
    Decision,
    Edition,
    ImageStatistics,
    Lease,
    NewChampion,
    Reused,
)
from selector.store import Store

NEW = NewChampion(
    study="flowers",
    trial=3,
    bundle="flowers/champions/a",
    fingerprint="f",
    trained_on=frozenset({"picture a", "group b"}),
)
CHALLENGE = Challenge(
    metric="f1_macro",
    goal="maximize",
    samples=40,
    excluded=2,
    champion_score=0.7,
    challenger_score=0.8,
    difference=0.1,
    low=0.02,
    high=0.2,
    p_value=0.01,
    tied=False,
)


def decision(**changes: Any) -> Decision:
    usual = Decision(action="first", study="flowers", trial=3, reason="none before", who="me@here")
    return dataclasses.replace(usual, **changes)


def test_the_last_decision_says_which_champion_is_the_present_one(store: Store) -> None:
    champions = store.champions
    assert champions.present("flowers") is None and champions.families() == ()
    first = champions.decide("flowers", decision(), after=0, champion=NEW)
    assert first.previous is None and first.number == 1
    assert champions.trained_on(first.champion) == NEW.trained_on
    other = dataclasses.replace(NEW, trial=4, bundle="flowers/champions/b")
    swap = decision(action="swap", trial=4, challenge=CHALLENGE)
    second = champions.decide("flowers", swap, after=1, champion=other)
    assert second.previous == first.champion
    back = champions.decide(
        "flowers", decision(action="rollback"), after=2, champion=first.champion
    )
    assert champions.present("flowers") == back.champion == first.champion
    assert champions.decisions("flowers") == (first, second, back)
    assert champions.decisions("flowers")[1].decision.challenge == CHALLENGE
    assert len(champions.all_of("flowers")) == 2 and champions.families() == ("flowers",)
    assert champions.decisions("weeds") == ()


def test_a_decision_that_builds_on_an_older_state_is_refused_and_leaves_nothing(
    store: Store,
) -> None:
    store.champions.decide("flowers", decision(), after=0, champion=NEW)
    late = dataclasses.replace(NEW, bundle="flowers/champions/late")
    with pytest.raises(ConflictError, match="changed by somebody else"):
        store.champions.decide("flowers", decision(action="by_hand"), after=0, champion=late)
    assert [c.bundle for c in store.champions.all_of("flowers")] == [NEW.bundle]


def test_numbers_that_are_none_survive_the_store(store: Store) -> None:
    odd = dataclasses.replace(CHALLENGE, low=math.nan, p_value=math.nan)
    store.champions.decide("flowers", decision(challenge=odd), after=0, champion=NEW)
    (found,) = store.champions.decisions("flowers")
    assert found.decision.challenge is not None
    assert math.isnan(found.decision.challenge.low)
    assert found.decision.challenge.samples == 40


def test_champions_outlive_the_study_that_trained_them(filled: Store) -> None:
    done = filled.champions.decide("flowers", decision(), after=0, champion=NEW)
    said = np.zeros((60, 3), dtype=np.float32)
    filled.champions.record_predictions("flowers", done.champion, said)
    filled.champions.record_predictions("flowers", done.champion, said - 1)
    kept = filled.champions.predictions("flowers", done.champion)
    assert kept is not None and np.array_equal(kept, said - 1)
    filled.delete_study("flowers")
    assert filled.champions.present("flowers") == done.champion


def test_a_study_of_no_family_is_its_own(store: Store) -> None:
    edition = Edition(name="flowers", number=2, study="flowers.e2", fingerprint="f")
    store.champions.add_edition(edition)
    assert store.champions.editions("flowers") == (edition,)
    assert store.champions.family_of("flowers.e2") == "flowers"
    assert store.champions.family_of("weeds") == "weeds"


def test_of_two_renewals_one_has_the_turn_until_it_gives_it_back_or_dies(store: Store) -> None:
    one, other = (Lease(token=letter * 32, seconds=100.0) for letter in "ab")
    me, you = {"host": "here", "pid": 1}, {"host": "there", "pid": 2}
    champions = store.champions
    assert champions.take_turn("flowers", one, me) is None
    assert champions.take_turn("flowers", other, you) == me
    assert champions.take_turn("weeds", other, you) is None
    assert champions.renew_turn("flowers", one) and not champions.renew_turn("flowers", other)
    champions.decide("flowers", decision(), after=0, champion=NEW, token=one.token)
    assert champions.take_turn("flowers", other, you, gone=me) is None
    with pytest.raises(ConflictError, match="has taken over"):
        champions.decide("flowers", decision(), after=1, champion=NEW, token=one.token)
    assert not champions.renew_turn("flowers", one)
    champions.end_turn("flowers", one)
    assert champions.take_turn("flowers", one, me) == you
    champions.end_turn("flowers", other)
    assert champions.take_turn("flowers", one, me) is None


def test_a_lease_that_is_over_is_free(store: Store) -> None:
    over = Lease(token="a" * 32, seconds=0.0)
    champions = store.champions
    assert champions.take_turn("flowers", over, {"host": "here"}) is None
    assert champions.take_turn("flowers", Lease(token="b" * 32, seconds=9.0), {}) is None


def test_what_a_study_took_over_is_recorded_once(filled: Store) -> None:
    one = Reused(study="weeds", trial=2, score=0.8, distance=0.25, params={"lr": 0.1})
    named = dataclasses.replace(one, trial=1, distance=None)
    filled.history.record_reused("flowers", (one, named))
    filled.history.record_reused("flowers", (named,))
    assert filled.history.reused("flowers") == (one, named)
    looks = ImageStatistics(
        images=4, width=20.0, height=30.0, mean=(0.1, 0.2, 0.3), sd=(0.1, 0.1, 0.1)
    )
    assert filled.history.statistics("flowers") is None
    filled.history.record_statistics("flowers", looks)
    filled.history.record_statistics("flowers", dataclasses.replace(looks, images=5))
    assert filled.history.statistics("flowers") == looks


def test_a_champion_says_where_its_bundle_lies_on_this_machine(store: Store, tmp_path: Any) -> None:
    champion: Champion = store.champions.decide(
        "flowers", decision(), after=0, champion=NEW
    ).champion
    assert champion.folder(tmp_path) == tmp_path / NEW.bundle


def test_of_many_that_ask_at_the_same_moment_one_gets_the_turn(store: Store) -> None:
    start = threading.Barrier(6)
    answers: list[object] = []

    def ask(number: int) -> None:
        with Store.open(store.url) as own:
            lease = Lease(token=f"{number:032}", seconds=100.0)
            start.wait()
            answers.append(own.champions.take_turn("flowers", lease, {"pid": number}))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert len(answers) == 6
    losers = [answer for answer in answers if answer is not None]
    assert len(losers) == 5 and all(answer == losers[0] for answer in losers)
