"""The same list of trials through `selector`, taken one by one as its worker takes them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import torch

from selector import data, tasks
from selector.preflight import prepare
from selector.records import Recipe, RunStart
from selector.registration import register
from selector.search import pruners, storage
from selector.search.ahead import working_ahead
from selector.search.claims import Claim, Claims
from selector.search.context import StudyContext, open_prefix_cache
from selector.search.objective import run_trial
from selector.settings import load_settings
from selector.spec import StudySpec, parse_study, to_plain
from selector.store import Store


@dataclass(frozen=True)
class Searched:
    """A study in a database of its own, with an empty cache, ready for its first trial."""

    claims: Claims
    context: StudyContext
    trials: Sequence[Recipe]

    @classmethod
    def open(cls, folder: Path, trials: Sequence[Recipe], *, home: Path) -> Self:
        """Everything that `selector run` does before the first trial; files go below `home`."""
        os.environ["SELECTOR_CACHE"] = str(home / "cache")
        os.environ["SELECTOR_ARTIFACTS"] = str(home / "artifacts")
        settings = load_settings()
        prepared = prepare(study_of(folder, trials), base=home, observe=_ignore)
        spec = prepared.spec
        store = Store.open(f"sqlite:///{home / 'selector.db'}")
        register(store, spec, prepared.dataset.summary, base=home)
        run_id = store.begin_run(_start(spec, prepared.dataset.summary.fingerprint))
        pruner = pruners.load(spec.pruner.name).build(spec, spec.pruner.options)
        backend = storage.open_storage(store)
        study = storage.open_study(backend, store, spec.name, goal=spec.metric.goal, pruner=pruner)
        claims = Claims(store, study, spec, run_id=run_id)
        claims.plan()
        context = StudyContext(
            spec=spec,
            store=store,
            task=tasks.load(spec.task),
            device=torch.device("cpu"),
            artifacts=settings.artifacts,
            base=home,
            decode=partial(data.decode, prepared.dataset, cache=settings.cache),
            observe=_ignore,
            prefix_cache=open_prefix_cache(spec, settings, _ignore),
        )
        return cls(claims, working_ahead(claims, context), trials)

    def run_trial(self) -> float:
        """Train the next trial; its best validation macro-F1."""
        claim = self.claims.take()
        assert isinstance(claim, Claim), claim
        wanted = self.trials[claim.number]
        assert (claim.params["backbone"], claim.params["freeze_depth"]) == (
            wanted.backbone,
            wanted.freeze_depth,
        )
        end = run_trial(claim, self.context, deadline=None)
        self.claims.end(claim, end)
        if end.state != "complete" or end.score is None:
            raise SystemExit(f"Trial {claim.number} {end.state}: {end.failure_message}")
        return end.score


def study_of(folder: Path, trials: Sequence[Recipe]) -> StudySpec:
    """The study file of a fixed list: the trials as its starting points, nothing pruned."""
    first = trials[0]
    depths = {recipe.freeze_depth for recipe in trials}
    start = [{"backbone": r.backbone, "lr": r.lr, "freeze_depth": r.freeze_depth} for r in trials]
    if len(depths) == 1:
        start = [{"backbone": r.backbone, "lr": r.lr} for r in trials]
    study = {
        "name": "fixed-list",
        "data": {"path": str(folder)},
        "metric": {"name": "f1_macro", "goal": "maximize"},
        "search": {
            "backbone": sorted({recipe.backbone for recipe in trials}),
            "lr": {"log_uniform": [1e-5, 1e-1]},
            "freeze_depth": {"int": [0, 5]} if len(depths) > 1 else first.freeze_depth,
            "batch_size": first.batch_size,
            "image_size": first.image_size,
        },
        "sampler": "random",
        "pruner": "none",
        "budget": {"trials": len(trials), "epochs": first.epochs},
        "start_from": start,
        "device": "cpu",
    }
    return parse_study(json.dumps(study))


def _start(spec: StudySpec, fingerprint: str) -> RunStart:
    return RunStart(
        study=spec.name,
        command="benchmark",
        spec=to_plain(spec),
        fingerprint=fingerprint,
        environment={},
        host="here",
        pid=os.getpid(),
    )


def _ignore(_: object) -> None:
    """Nobody watches a measurement."""
