"""Recipes of earlier studies among the first trials of a new one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from selector.cli.app import app
from selector.errors import InputError
from selector.events import Event, HistoryChosen
from selector.run import run
from selector.search import history, space, startup
from selector.store import Store
from tests.search.conftest import ParseStudy, register_study, summary


def finish(store: Store, results, spec, params: list[dict], scores: list[float]) -> None:
    """A stored study with a complete trial for each of `params`."""
    run_id = register_study(store, spec)
    for number, (changes, score) in enumerate(zip(params, scores, strict=True)):
        chosen = {**startup.recipe(spec, changes["backbone"]), **changes}
        start = results.trial_start(number, backbone=changes["backbone"], params=chosen)
        store.start_trial(spec.name, run_id, start)
        end = results.complete(number)
        candidate = replace(end.candidate, log_probabilities=end.candidate.log_probabilities)
        store.finish_trial(spec.name, replace(end, score=score, candidate=candidate))


@pytest.fixture
def weeds(store: Store, results, study: ParseStudy) -> Store:
    """A store with a finished study, `weeds`."""
    spec = study().model_copy(update={"name": "weeds"})
    params = [
        {"backbone": "toy:cnn", "lr": 0.003},
        {"backbone": "toy:cnn", "lr": 0.004},
        {"backbone": "timm:resnet18", "lr": 0.0005, "freeze_depth": 2},
    ]
    finish(store, results, spec, params, [0.8, 0.9, 0.7])
    return store


def chosen(store: Store, spec) -> list[tuple[str, int]]:
    return [(each.study, each.trial) for each in history._chosen(store, spec)]


def test_the_best_of_every_backbone_is_taken_first_and_moved_into_the_space(
    weeds: Store, study: ParseStudy
) -> None:
    extra = "history: {studies: [weeds]}\nbudget: {trials: 30}\n"
    domains = "{backbone: ['toy:cnn', 'timm:resnet18'], lr: {log_uniform: [1.0e-3, 2.5e-3]}}"
    spec = study(extra, space=f"search: {domains}\n")
    register_study(weeds, spec)
    reused = history._chosen(weeds, spec)
    assert [each.trial for each in reused] == [1, 2]  # trial 0 is trial 1 in this space
    assert [each.params["lr"] for each in reused] == [0.0025, 0.001]
    assert reused[1].params["freeze_depth"] == 2
    planned = startup.plan(spec, reused=[each.params for each in reused])
    assert [each.origin for each in planned[:4]] == ["history", "history", "recipe", "recipe"]
    assert planned[0].params == space.to_optuna(spec, reused[0].params)


def test_no_more_recipes_are_taken_than_asked_for_and_a_third_of_the_budget(
    weeds: Store, study: ParseStudy
) -> None:
    for budget, recipes, count in ((30, 2, 2), (30, 9, 3), (6, 9, 2), (1, 9, 1)):
        spec = study(
            f"history: {{studies: [weeds], recipes: {recipes}}}\nbudget: {{trials: {budget}}}\n"
        )
        assert len(history._chosen(weeds, spec)) == count


def test_what_is_already_in_start_from_is_not_taken_twice(weeds: Store, study: ParseStudy) -> None:
    params = dict(next(t for t in weeds.trials("weeds") if t.number == 1).params)
    spec = study("history: {studies: [weeds]}\nbudget: {trials: 30}\n")
    spec = spec.model_copy(update={"start_from": (params,)})
    assert ("weeds", 1) not in chosen(weeds, spec)


def test_auto_takes_from_similar_data_only_and_says_how_similar(
    weeds: Store, results, study: ParseStudy
) -> None:
    far = study().model_copy(update={"name": "galaxies"})
    finish(weeds, results, far, [{"backbone": "toy:cnn", "lr": 0.009}], [0.99])
    row = weeds.require_study("galaxies")
    classes = tuple(f"class {k}" for k in range(400))
    counts = {name: {"train": 9**5, "validation": 2, "test": 2} for name in classes}
    data = replace(summary(), class_names=classes, class_counts=counts)
    weeds.update_study(replace(row, data=data))
    spec = study("history: auto\nbudget: {trials: 30}\n")
    register_study(weeds, spec)
    found = history._chosen(weeds, spec)
    assert {each.study for each in found} == {"weeds"}
    assert {each.distance for each in found} == {0.0}
    named = study("history: {studies: [galaxies]}\nbudget: {trials: 30}\n")
    assert chosen(weeds, named) == [("galaxies", 0)]


def test_a_study_that_is_not_there_is_told_before_anything_is_stored(
    weeds: Store, study: ParseStudy
) -> None:
    spec = study("history: {studies: [trees]}\n")
    with pytest.raises(InputError, match="Unknown study 'trees'"):
        history.check(weeds, spec)
    register_study(weeds, spec)
    history.check(weeds, spec)  # a study that was deleted since does not stop one that has begun


def test_a_second_study_starts_from_the_first_and_reports_whether_that_helped(
    bare_garden: Path,
) -> None:
    run("study.yaml")
    seen: list[Event] = []
    changes = ["name=more", "history=auto", "seed=4"]
    board = run("study.yaml", overrides=changes, observe=seen.append)
    assert HistoryChosen(recipes=1, studies=("flowers",)) in seen
    assert board.history is not None and board.history.compared == 1
    (reused,) = board.history.reused
    assert reused.study == "flowers" and reused.distance == 0.0
    assert board.history.best_reused == board.history.scores[0]
    for command in ("show", "report"):
        shown = CliRunner().invoke(app, [command, "more"]).stdout
        assert "Recipes of earlier studies" in shown and f"flowers:{reused.trial}" in shown
        assert "helped" in shown or "did" in shown
    with Store.open(f"sqlite:///{bare_garden / 'selector.db'}") as store:
        before = store.history.reused("more")
        seen.clear()
        run("study.yaml", overrides=[*changes, "budget.trials=4"], observe=seen.append)
        assert store.history.reused("more") == before
        assert not [event for event in seen if isinstance(event, HistoryChosen)]
        origins = [trial.origin for trial in store.trials("more")]
    assert origins == ["history", "recipe", "startup", "sampler"]


def test_a_study_that_asks_for_no_history_has_the_same_trials_in_any_store(
    bare_garden: Path,
) -> None:
    tables = []
    for store in ("sqlite:///one.db", "sqlite:///two.db"):
        if store.endswith("two.db"):
            run("study.yaml", overrides=["name=earlier", "seed=7", "budget.trials=1"], store=store)
        run("study.yaml", overrides=["budget.epochs=1"], store=store)
        with Store.open(store) as opened:
            tables.append([(t.params, t.origin, t.score) for t in opened.trials("flowers")])
    assert tables[0] == tables[1]
