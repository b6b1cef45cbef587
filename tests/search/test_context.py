"""The prefix cache of a study: which depths it fills, and that it changes no score."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from selector.errors import ConflictError
from selector.events import PrefixUsed
from selector.run import run
from selector.search.context import open_prefix_cache
from selector.settings import load_settings
from selector.spec import load_study
from selector.store import Store
from selector.training import tally
from selector.training.cache import PrefixCache

STUDY = """
name: digits
data: {source: "builtin:digits", limit: 120}
metric: {name: f1_macro, goal: maximize}
search:
  backbone: toy:cnn
  image_size: 16
  lr: 0.01
  freeze_depth: [2, 4]
  augment: [none, flip]
  batch_size: 16
budget: {trials: 4, epochs: 2}
finals: off
sampler: grid
pruner: none
device: cpu
"""


@pytest.fixture
def study(own_place: Path) -> Path:
    path = own_place / "study.yaml"
    path.write_text(STUDY)
    return path


def scores_and_uses(study: Path, name: str, *overrides: str):
    url = f"sqlite:///{study.parent / name}.db"
    uses: list[PrefixUsed] = []

    def observe(event):
        if isinstance(event, PrefixUsed):
            uses.append(event)

    run(study, overrides=overrides, store=url, observe=observe)
    with Store.open(url) as store:
        rows = store.trials("digits")
    return {str(row.params): (row.score, row.metrics) for row in rows}, uses


def test_a_study_scores_the_same_with_and_without_the_prefix_cache(study):
    plain, none = scores_and_uses(study, "plain", "training.prefix_cache=off")
    assert not none
    assert not (study.parent / "cache" / "prefixes").exists()
    cached, _ = scores_and_uses(study, "cached")
    assert cached == plain
    assert len(cached) == 4


def test_a_later_run_computes_nothing_that_an_earlier_one_has_kept(study, monkeypatch):
    # Everything is kept: on pictures this small, what pays is a matter of luck.
    defaults = PrefixCache.__init__.__kwdefaults__
    monkeypatch.setitem(defaults, "admit", lambda cost: True)
    _, first = scores_and_uses(study, "first")
    _, later = scores_and_uses(study, "second")
    # The validation images of every trial, and one view of the training images or two.
    assert len(first) == len(later) == 2 * 2 + 2 * 3
    # One pass for validation and one for each view of the training images, whatever the depths.
    assert [use.outcome for use in first].count("filled") == 3
    assert {use.outcome for use in later} == {"hit"}


def test_the_cache_may_be_switched_off_for_a_study_that_has_trials(study):
    scores_and_uses(study, "same")
    scores_and_uses(study, "same", "training.prefix_cache=off")
    with pytest.raises(ConflictError, match=r"training\.prefix_cache"):
        scores_and_uses(study, "same", "training.clip_norm=2.0")


@pytest.mark.parametrize(
    ("domain", "depths"),
    [
        ("3", {3}),
        ("[1, 5]", {1, 5}),
        ("{int: [2, 4]}", {2, 3, 4}),
        ("{int: [0, 5]}", set(range(6))),
    ],
)
def test_the_pass_fills_the_depths_of_the_search_space(study, domain, depths):
    spec = load_study(study, overrides=[f"search.freeze_depth={domain}"])
    cache = open_prefix_cache(spec, load_settings(), lambda event: None)
    assert cache is not None
    assert cache.depths == {"toy:cnn": depths}


def test_without_a_cache_there_is_none_to_open(study):
    spec = load_study(study, overrides=["training.prefix_cache=off"])
    assert open_prefix_cache(spec, load_settings(), lambda event: None) is None


def scored(study: Path, monkeypatch: pytest.MonkeyPatch, *overrides: str):
    """Runs a study; gives each trial's scores by epoch, and how often predictions were fetched."""
    fetched = []
    original = tally.to_host
    monkeypatch.setattr(tally, "to_host", lambda tensor: fetched.append(1) or original(tensor))
    url = f"sqlite:///{study.parent / 'scored.db'}"
    run(study, overrides=("training.prefix_cache=off", *overrides), store=url)
    scores = defaultdict(list)
    with Store.open(url) as store:
        for number, epoch in store.epochs("digits"):
            scores[number].append(epoch.score)
    return list(scores.values()), len(fetched)


def test_predictions_are_fetched_only_for_epochs_that_are_the_best_so_far(study, monkeypatch):
    trials, fetched = scored(study, monkeypatch, "budget.epochs=4", "search.lr=0.05")
    best = sum(
        score > max(scores[:number], default=-1.0)
        for scores in trials
        for number, score in enumerate(scores)
    )
    assert fetched == best < sum(map(len, trials))


def test_a_metric_of_probabilities_fetches_every_epoch(study, monkeypatch):
    study.write_text(
        STUDY.replace("{name: f1_macro, goal: maximize}", "{name: log_loss, goal: minimize}")
    )
    trials, fetched = scored(study, monkeypatch)
    assert fetched == sum(map(len, trials)) == 8
