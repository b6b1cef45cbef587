"""What `report` and `show` tell about the proxies of backbones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selector import reporting
from selector.records import BackboneProxies
from selector.reporting.ranking import audit, rank
from selector.store import Store

NAMES = ("toy:a", "toy:b", "toy:c", "toy:d")


def proxies(count: int) -> list[BackboneProxies]:
    return [
        BackboneProxies(
            backbone=name,
            image_size=96,
            knn=0.1 * i,
            probe=0.2 * i,
            parameters=1_000_000 * (4 - i),
            seconds=2.0,
        )
        for i, name in enumerate(NAMES[:count])
    ]


@pytest.fixture
def four(tmp_path: Path, results: Any) -> Iterator[Store]:
    """A study of four backbones, each of which did better than the one before."""
    with Store.open(f"sqlite:///{tmp_path / 'four.db'}") as store:
        store.create_study(results.study())
        run_id = store.begin_run(results.run_start())
        for number, name in enumerate(NAMES):
            store.start_trial("flowers", run_id, results.trial_start(number, backbone=name))
            end = results.complete(number, accuracy=0.4 + 0.18 * number)
            store.finish_trial("flowers", end)
        yield store


def study_text(store: Store, fmt: str) -> str:
    study, trials = store.require_study("flowers"), store.trials("flowers")
    page = reporting.study_page(
        study,
        trials,
        runs=store.runs("flowers"),
        counts=store.counts("flowers"),
        audit=audit(store, study, trials),
    )
    return reporting.render(page, fmt, width=120)


def texts(store: Store, fmt: str) -> list[str]:
    """The report and the study's page."""
    return [reporting.render(rank(store, "flowers"), fmt, width=120), study_text(store, fmt)]


def test_the_json_has_proxies_best_scores_and_correlations(four: Store) -> None:
    four.record_proxies("flowers", proxies(4))
    for text in texts(four, "json"):
        found = json.loads(text)["proxies"]
        assert found["metric"] == {"name": "f1_macro", "goal": "maximize"}
        assert [row["backbone"] for row in found["backbones"]] == list(NAMES[::-1])
        first = found["backbones"][0]
        assert list(first) == [
            "backbone",
            "image_size",
            "knn",
            "probe",
            "parameters",
            "seconds",
            "best_score",
        ]
        assert first["best_score"] == max(row.score or 0 for row in four.trials("flowers"))
        assert found["rank_correlation"] == {
            "compared": 4,
            "knn": pytest.approx(1),
            "probe": pytest.approx(1),
            "parameters": pytest.approx(-1),
            "note": None,
        }


@pytest.mark.parametrize("fmt", ["table", "md"])
def test_the_table_ends_with_the_correlations(fmt: str, four: Store) -> None:
    four.record_proxies("flowers", proxies(4))
    for text in texts(four, fmt):
        assert "Backbones before training" in text
        assert "best f1_macro" in text or r"best f1\_macro" in text
        assert "best scores of 4 backbones: probe +1.00, kNN +1.00, parameter count -1.00" in text


def test_below_four_backbones_there_is_no_correlation(four: Store) -> None:
    four.record_proxies("flowers", proxies(3))
    for text in texts(four, "table"):
        assert "too few backbones (3 with a score, 4 needed)" in text
    for text in texts(four, "json"):
        correlation = json.loads(text)["proxies"]["rank_correlation"]
        assert correlation["note"] == "too few backbones"
        assert correlation["probe"] is None


def test_proxies_are_on_the_studys_metric_whatever_the_ranking_is_by(four: Store) -> None:
    four.record_proxies("flowers", proxies(4))
    text = reporting.render(rank(four, "flowers", metric="log_loss"), "table", width=120)
    assert "best f1_macro ↑" in text
    assert "probe +1.00" in text


def test_a_study_without_proxies_says_nothing_of_them(four: Store) -> None:
    for text in texts(four, "table"):
        assert "before training" not in text
        assert "correlation" not in text
    for text in texts(four, "json"):
        assert "proxies" not in json.loads(text)
