"""The look at every backbone before the first trial: it orders, it never decides, it never stops.

Whole runs on digits, with random weights: what is scored is real, though not worth much.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from selector import backbones
from selector.environment import cores
from selector.errors import ConflictError, NoCandidateError
from selector.events import FunnelEnded, PrefixUsed
from selector.preflight import load_prepared
from selector.records import BackboneProxies
from selector.registration import register
from selector.run import ignore, run
from selector.store import Store
from selector.training.cache import PrefixCache

TIMM = "timm:mobilenetv3_small_050"
NAMES = ("toy:cnn", TIMM)
STUDY = f"""
name: digits
data: {{source: "builtin:digits", limit: 120}}
metric: {{name: f1_macro, goal: maximize}}
search:
  backbone: [toy:cnn, "{TIMM}"]
  image_size: [48, 32]
  lr: 0.01
  freeze_depth: [0, 5]
  batch_size: 32
weights: random
budget: {{trials: 4, epochs: 1}}
finals: off
pruner: none
device: cpu
"""


@pytest.fixture
def study(own_place: Path) -> Path:
    path = own_place / "study.yaml"
    path.write_text(STUDY)
    return path


class Ran:
    """A run, what it announced, and what it left in the store."""

    def __init__(self, study: Path, url: str, *overrides: str) -> None:
        events: list[object] = []
        run(study, overrides=overrides, store=url, observe=events.append)
        self.funnels = [event for event in events if isinstance(event, FunnelEnded)]
        self.uses = [event for event in events if isinstance(event, PrefixUsed)]
        with Store.open(url) as store:
            self.proxies = {row.backbone: row for row in store.proxies("digits")}
            self.trials = store.trials("digits")

    @property
    def recipes(self) -> tuple[str, ...]:
        return tuple(row.backbone for row in self.trials if row.origin == "recipe")

    @property
    def plan(self) -> list[tuple[str, dict[str, object]]]:
        return [(row.origin, dict(row.params)) for row in self.trials]

    @property
    def scores(self) -> list[tuple[str, float, float]]:
        return [(name, row.knn, row.probe) for name, row in self.proxies.items()]


def sqlite(folder: Path, name: str = "selector") -> str:
    return f"sqlite:///{folder / name}.db"


def test_every_backbone_is_measured_once_and_the_best_is_planned_first(
    study: Path, store_url: str
) -> None:
    first = Ran(study, store_url)
    assert sorted(first.proxies) == sorted(NAMES)
    for name, row in first.proxies.items():
        assert row.image_size == 32
        assert 0 <= row.knn <= 1 and 0 <= row.probe <= 1
        built = backbones.load(name, weights="random", image_size=32, seed=0)
        assert row.parameters == sum(p.numel() for p in built.parameters())
    (ended,) = first.funnels
    assert ended.missing == {}
    assert first.recipes == ended.order
    assert sorted(ended.order) == sorted(NAMES)

    again = Ran(study, store_url, "budget.trials=5")
    assert again.funnels == []
    assert again.proxies == first.proxies
    assert again.plan[:4] == first.plan


def test_the_proxies_know_more_than_chance(study: Path) -> None:
    ran = Ran(study, sqlite(study.parent))
    assert ran.proxies["toy:cnn"].probe > 0.3  # of ten classes


def test_the_same_study_has_the_same_plan_with_and_without_the_cache(study: Path) -> None:
    one = Ran(study, sqlite(study.parent, "one"))
    two = Ran(study, sqlite(study.parent, "two"))
    plain = Ran(study, sqlite(study.parent, "plain"), "training.prefix_cache=off")
    assert one.scores == two.scores == plain.scores
    assert one.plan == two.plan == plain.plan
    assert plain.uses == []


def test_trials_read_what_the_funnel_computed(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Everything is kept: on pictures this small, what pays is a matter of luck.
    monkeypatch.setitem(PrefixCache.__init__.__kwdefaults__, "admit", lambda cost: True)
    ran = Ran(
        study,
        sqlite(study.parent),
        "search.freeze_depth={int: [3, 5]}",
        "search.image_size=32",
    )
    funnel, trials = ran.uses[:4], ran.uses[4:]
    assert [(use.freeze_depth, use.outcome) for use in funnel] == [(5, "filled")] * 4
    assert len(trials) == 2 * 4
    assert {use.outcome for use in trials} == {"hit"}


def test_workers_with_fewer_threads_read_what_the_funnel_computed(study: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(cores() + 1)  # more than the share of any worker
    try:
        ran = Ran(
            study,
            sqlite(study.parent),
            "search.backbone=[bundled:mobilenet_v2, bundled:efficientnet_lite0]",
            "search.freeze_depth=5",  # of real networks, where reading certainly pays
            "search.image_size=64",
            "workers=2",
            "weights=pretrained",
        )
    finally:
        torch.set_num_threads(threads)
    outcomes = Counter(use.outcome for use in ran.uses)
    assert outcomes["filled"] == 2 * 2
    assert outcomes["hit"] == len(ran.uses) - 4 > 0


def test_switched_off_the_backbones_come_as_in_the_file(study: Path) -> None:
    ran = Ran(study, sqlite(study.parent), "funnel=off")
    assert ran.funnels == []
    assert ran.proxies == {}
    assert ran.recipes == NAMES
    # It may be switched on again: the plan is made, so there is nothing left to order.
    again = Ran(study, sqlite(study.parent), "budget.trials=5")
    assert (again.funnels, again.proxies) == ([], {})
    with pytest.raises(ConflictError, match=r"funnel, .*training\.prefix_cache"):
        Ran(study, sqlite(study.parent), "seed=7")


def test_one_backbone_needs_no_order(study: Path) -> None:
    ran = Ran(study, sqlite(study.parent), "search.backbone=toy:cnn", "budget.trials=1")
    assert (ran.funnels, ran.proxies) == ([], {})


def test_a_plan_that_was_interrupted_follows_what_was_measured_then(study: Path) -> None:
    url = sqlite(study.parent)
    prepared = load_prepared(study, overrides=(), observe=ignore)
    values = {"image_size": 32, "parameters": 1, "seconds": 1.0}
    rows = [
        BackboneProxies(backbone=name, knn=float(i), probe=float(i), **values)  # type: ignore[arg-type]
        for i, name in enumerate(NAMES)
    ]
    with Store.open(url) as store:
        register(store, prepared.spec, prepared.dataset.summary, base=prepared.base)
        store.record_proxies("digits", rows)
    ran = Ran(study, url, "budget.trials=2")
    assert ran.funnels == []
    assert ran.recipes == NAMES[::-1]


def test_a_backbone_that_cannot_be_measured_comes_last_and_is_still_tried(study: Path) -> None:
    toy = backbones.load("toy:cnn", weights="random", image_size=32, seed=0)
    broken = toy.stages.state_dict()
    broken["0.0.weight"] = torch.full_like(broken["0.0.weight"], torch.nan)
    save_file(broken, study.parent / "broken.safetensors")
    ran = Ran(study, sqlite(study.parent), 'backbones={"toy:cnn": {weights: broken.safetensors}}')
    (ended,) = ran.funnels
    assert ended.order == (TIMM,)
    assert ended.missing == {"toy:cnn": "its features are not finite"}
    assert ran.recipes == (TIMM, "toy:cnn")


def test_a_cache_that_cannot_be_written_costs_time_and_nothing_else(study: Path) -> None:
    (study.parent / "cache").mkdir()
    (study.parent / "cache" / "prefixes").write_text("in the way")
    ran = Ran(study, sqlite(study.parent), "budget.trials=2")
    (ended,) = ran.funnels
    assert sorted(ended.order) == sorted(NAMES)
    assert not ended.missing


def test_no_further_backbone_is_measured_when_much_of_the_time_is_spent(study: Path) -> None:
    url = sqlite(study.parent)
    with pytest.raises(NoCandidateError):
        run(study, overrides=["budget.time=0.001"], store=url)
    with Store.open(url) as store:
        assert [row.backbone for row in store.proxies("digits")] == ["toy:cnn"]
