"""Scheduled runs: a champion, its challengers, and when one replaces the other."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from selector import data
from selector.errors import ConflictError, InputError, InterruptedRun, StudyStoppedError
from selector.events import EditionBegun, Event, HistoryChosen, TrialStarted
from selector.promotion import bundle_of
from selector.records import Renewal
from selector.renewal import renew
from selector.run import run
from selector.spec.schema import DataSpec, SplitSpec
from selector.store import Store
from selector.store.shelves import Champions
from tests.garden import AUTUMN, SPRING, SUMMER, grow, replant


@pytest.fixture
def store(garden: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{garden / 'selector.db'}") as opened:
        yield opened


@pytest.mark.storm
def test_in_a_week_the_champion_changes_exactly_when_the_data_truly_changed(
    bare_garden: Path,
) -> None:
    images = bare_garden / "images"
    nights = (
        lambda: None,
        lambda: None,
        lambda: grow(images, SPRING, 40, seed=2),
        lambda: replant(images, SUMMER, seed=3),
        lambda: None,
        lambda: grow(images, SUMMER, 40, seed=4),
        lambda: replant(images, AUTUMN, seed=5),
    )
    week: list[Renewal] = []
    for day in nights:
        day()
        week.append(renew("study.yaml", overrides=["finals={top: 2, seeds: 1}"]))
    assert [(night.outcome, night.edition) for night in week] == [
        ("first", "flowers"),
        ("unchanged", "flowers"),
        ("kept", "flowers.e2"),
        ("swap", "flowers.e3"),
        ("unchanged", "flowers.e3"),
        ("kept", "flowers.e4"),
        ("swap", "flowers.e5"),
    ]
    shipped = [night.champion.study for night in week if night.champion]
    assert shipped == [*["flowers"] * 3, *["flowers.e3"] * 3, "flowers.e5"]
    for night in week:
        if night.outcome == "swap":
            assert night.challenge is not None
            assert night.challenge.low > 0 and night.challenge.p_value < 0.01


def test_a_night_of_unchanged_data_trains_nothing_and_writes_nothing(
    garden: Path, store: Store
) -> None:
    seen: list[Event] = []
    before = store.champions.decisions("flowers"), store.runs("flowers")
    again = renew("study.yaml", observe=seen.append)
    assert (again.outcome, again.edition) == ("unchanged", "flowers")
    assert "nothing was searched" in again.reason and "\n" not in again.reason
    assert not [event for event in seen if isinstance(event, EditionBegun | TrialStarted)]
    assert (store.champions.decisions("flowers"), store.runs("flowers")) == before


def test_whoever_the_study_file_names_is_told_of_a_new_champion(bare_garden: Path) -> None:
    keep = "import sys; open('notices', 'a').write(sys.stdin.read() + chr(10))"
    notify = {"command": [sys.executable, "-c", keep], "on": ["swap"], "timeout_seconds": 60}
    with (bare_garden / "study.yaml").open("a") as file:
        file.write(f"notify: {json.dumps(notify)}\n")
    assert renew("study.yaml").outcome == "first"
    assert renew("study.yaml").outcome == "unchanged"
    (line,) = (bare_garden / "notices").read_text().splitlines()
    notice = json.loads(line)
    assert (notice["kind"], notice["study"]) == ("swap", "flowers")
    assert notice["details"]["champion"].startswith("flowers/champions/")


def test_the_next_edition_tries_the_recipe_of_the_champion_first_and_keeps_its_predictions(
    garden: Path, store: Store
) -> None:
    champion = store.champions.present("flowers")
    assert champion is not None
    grow(garden / "images", SPRING, 20, seed=2)
    seen: list[Event] = []
    found = renew("study.yaml", observe=seen.append)
    assert HistoryChosen(recipes=1, studies=("flowers",)) in seen
    first = store.trials("flowers.e2")[0]
    shipped = next(t for t in store.trials("flowers") if t.number == champion.trial)
    assert first.origin == "history"
    assert first.params == shipped.params
    said = store.champions.predictions("flowers.e2", champion)
    data = store.require_study("flowers.e2").data
    assert said is not None and said.shape == (len(data.validation_labels), 2)
    (decision,) = store.champions.decisions("flowers")[1:]
    assert decision.decision.challenge == found.challenge
    assert store.openings("flowers.e2") == ()  # nobody looked at the test split


def test_samples_that_the_champion_was_trained_on_do_not_judge_it(
    garden: Path, store: Store
) -> None:
    images = garden / "images"
    sizes = store.require_study("flowers").data.counts
    (images / "train").mkdir()
    for name in SPRING:
        (images / name).rename(images / "train" / name)
    # All old pictures validate, and as many new ones of each class train.
    (images / "train").rename(images / "validation")
    grow(images / "train", SPRING, seed=7)
    found = renew("study.yaml")
    assert found.challenge is not None
    assert found.challenge.excluded == sizes["train"]
    assert found.challenge.samples == sizes["validation"] + sizes["test"]
    assert f"{sizes['train']} that it was trained on left out" in found.reason


def test_a_champion_that_knows_nearly_all_samples_is_left_alone(garden: Path, store: Store) -> None:
    marks = store.champions.trained_on(store.champions.all_of("flowers")[0])
    images = garden / "images"
    split = SplitSpec(validation=0.3, test=0.1)
    dataset = data.inspect(DataSpec(path=str(images), split=split), base=garden)
    known = dataset.splits.train.tolist()
    assert data.all_marks(dataset, "train") == marks
    for index in known:
        path = dataset.images.path(index)
        assert path is not None
        target = images / "validation" / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    for name in SPRING:
        shutil.rmtree(images / name)
    grow(images / "train", SPRING, seed=7)
    found = renew("study.yaml")
    assert found.outcome == "undecided"
    assert f"0 of {len(known)} validation samples are new to the champion" in found.reason
    assert found.champion is not None and found.champion.study == "flowers"


def test_other_classes_leave_the_decision_to_a_person(garden: Path, store: Store) -> None:
    grow(garden / "images", {"tulip": (60, 60, 200)}, seed=8)
    found = renew("study.yaml")
    assert found.outcome == "undecided"
    assert "gained tulip" in found.reason and "--accept" in found.reason
    assert found.champion is not None and found.champion.study == "flowers"
    again = renew("study.yaml")
    assert again.outcome == "unchanged" and "Still undecided" in again.reason
    accepted = renew("study.yaml", accept=True)
    assert accepted.outcome == "swap" and accepted.champion is not None
    assert accepted.champion.study == "flowers.e2"
    assert "accepted by hand although the classes changed" in accepted.reason
    assert "Still undecided" not in renew("study.yaml").reason


def test_a_crash_before_the_record_leaves_the_old_champion_and_is_made_up_for(
    garden: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = store.champions.present("flowers")
    replant(garden / "images", SUMMER, seed=3)

    def power_cut(*_arguments: object, **_options: object) -> None:
        raise SystemExit("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(Champions, "decide", power_cut)
        with pytest.raises(SystemExit, match="power cut"):
            renew("study.yaml")
    assert store.champions.present("flowers") == old
    (left,) = (garden / "artifacts/flowers/champions").glob("flowers.e2-*")
    written = (left / "bundle.json").stat().st_mtime_ns
    seen: list[Event] = []
    found = renew("study.yaml", observe=seen.append)
    assert found.outcome == "swap" and found.champion is not None
    assert bundle_of(found.champion) == left
    assert (left / "bundle.json").stat().st_mtime_ns == written
    assert not [event for event in seen if isinstance(event, TrialStarted)]


def test_of_two_renewals_at_once_one_goes_on_and_the_other_says_so(garden: Path) -> None:
    grow(garden / "images", SPRING, 20, seed=2)
    others: list[Renewal] = []

    def meanwhile(event: Event) -> None:
        if isinstance(event, TrialStarted) and not others:
            others.append(renew("study.yaml"))

    assert renew("study.yaml", observe=meanwhile).outcome in ("kept", "swap")
    (other,) = others
    assert other.outcome == "busy"
    assert "is being renewed on" in other.reason and "\n" not in other.reason
    assert renew("study.yaml").outcome == "unchanged"


def test_a_champion_that_is_changed_by_hand_meanwhile_is_not_overruled(
    garden: Path, store: Store
) -> None:
    grow(garden / "images", SPRING, 20, seed=2)
    by_hand = next(c for c in store.champions.all_of("flowers"))
    changed: list[Event] = []

    def meanwhile(event: Event) -> None:
        if isinstance(event, TrialStarted) and not changed:
            changed.append(event)
            decisions = store.champions.decisions("flowers")
            store.champions.decide(
                "flowers", decisions[-1].decision, after=len(decisions), champion=by_hand
            )

    with pytest.raises(ConflictError, match="changed by somebody else"):
        renew("study.yaml", observe=meanwhile)
    assert store.champions.present("flowers") == by_hand


def test_a_damaged_bundle_is_noticed_before_anything_is_searched(
    garden: Path, store: Store
) -> None:
    champion = store.champions.present("flowers")
    assert champion is not None
    weights = next(bundle_of(champion).glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1])
    grow(garden / "images", SPRING, 20, seed=2)
    seen: list[Event] = []
    with pytest.raises(InputError, match="cannot be used"):
        renew("study.yaml", observe=seen.append)
    assert not [event for event in seen if isinstance(event, TrialStarted)]


@pytest.mark.storm
def test_a_study_that_was_run_before_any_renewal_is_the_first_edition(bare_garden: Path) -> None:
    run("study.yaml")
    replant(bare_garden / "images", SUMMER, seed=3)
    found = renew("study.yaml")
    assert (found.outcome, found.edition) == ("first", "flowers.e2")


def test_a_changed_study_file_is_searched_too(garden: Path, store: Store) -> None:
    more = renew("study.yaml", overrides=["budget.trials=4"])
    assert more.edition == "flowers" and store.counts("flowers").complete == 4
    assert more.outcome in ("kept", "swap")
    other = renew("study.yaml", overrides=["training.class_weights=balanced"])
    assert other.edition == "flowers.e2" and other.outcome in ("kept", "swap")
    assert store.require_study("flowers.e2").spec["training"]["class_weights"] == "balanced"


@pytest.mark.storm
def test_data_that_comes_back_is_not_searched_again(garden: Path, store: Store) -> None:
    spring = garden / "spring"
    shutil.copytree(garden / "images", spring)
    replant(garden / "images", SUMMER, seed=3)
    assert renew("study.yaml").outcome == "swap"
    shutil.rmtree(garden / "images")
    spring.rename(garden / "images")
    seen: list[Event] = []
    back = renew("study.yaml", observe=seen.append)
    assert (back.outcome, back.edition) == ("swap", "flowers")
    assert back.champion is not None and back.champion.study == "flowers"
    assert not [event for event in seen if isinstance(event, TrialStarted)]
    assert len(store.champions.all_of("flowers")) == 2  # the bundle of spring is used again


def test_a_stop_ends_one_firing_and_the_next_goes_on(bare_garden: Path) -> None:
    with Store.open(f"sqlite:///{bare_garden / 'selector.db'}") as store:

        def stop(event: Event) -> None:
            if isinstance(event, TrialStarted):
                store.ask_to_stop("flowers", who="ann@box")

        with pytest.raises(StudyStoppedError):
            renew("study.yaml", overrides=["finals=off"], observe=stop)
        assert store.state("flowers") == "stopped"

        assert renew("study.yaml", overrides=["finals=off"]).outcome == "first"
        assert store.state("flowers") == "finished"


def test_an_edition_is_no_family_of_its_own(garden: Path) -> None:
    grow(garden / "images", SPRING, 20, seed=2)
    assert renew("study.yaml").edition == "flowers.e2"
    with pytest.raises(InputError, match=r"'flowers\.e2' is an edition of 'flowers'"):
        renew("study.yaml", overrides=["name=flowers.e2"])


def test_a_renewal_that_was_interrupted_goes_on_although_the_data_is_unchanged(
    garden: Path, store: Store
) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, TrialStarted):
            raise KeyboardInterrupt

    more = ["budget.trials=4"]
    with pytest.raises(InterruptedRun):
        renew("study.yaml", overrides=more, observe=stop)
    assert store.counts("flowers").complete == 3
    assert renew("study.yaml", overrides=more).outcome in ("kept", "swap")
    assert store.counts("flowers").complete == 4
    assert renew("study.yaml", overrides=more).outcome == "unchanged"
