"""A stored study in Python: frames, the best candidate, its predictions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import selector
from selector.errors import InputError, NoCandidateError
from selector.store import Store


@pytest.fixture
def study(filled: Store) -> selector.Study:
    """The study `flowers`, on each kind of database."""
    return selector.Study.load("flowers", filled.url)


def test_the_leaderboard_is_a_frame_in_rank_order(study: selector.Study) -> None:
    frame = study.leaderboard()
    assert frame.index.tolist() == [1, 2, 3]
    assert frame["trial"].tolist() == [1, 0, 4]
    assert frame["score"].is_monotonic_decreasing
    assert frame["metric.f1_macro"].tolist() == frame["score"].tolist()
    assert frame.loc[1, "param.lr"] == pytest.approx(0.002)
    assert study.leaderboard("log_loss")["score"].is_monotonic_increasing


def test_trials_are_a_frame_in_every_state(study: selector.Study) -> None:
    frame = study.trials()
    assert frame["trial"].tolist() == [0, 1, 2, 3, 4, 5]
    assert frame["state"].value_counts().to_dict() == {
        "complete": 3,
        "pruned": 1,
        "failed": 1,
        "running": 1,
    }
    assert {"score", "best_epoch", "epochs", "seconds", "param.freeze_depth"} <= set(frame)
    assert frame["metric.accuracy"].isna().sum() == 3
    assert str(frame["started_at"].dtype).endswith("UTC]")


def test_epochs_classes_and_runs_are_frames(study: selector.Study) -> None:
    assert study.epochs().groupby("trial").size().to_dict() == {0: 3, 1: 3, 2: 1, 4: 3}
    classes = study.class_scores()
    assert classes.groupby("trial")["support"].sum().to_dict() == {0: 60, 1: 60, 4: 60}
    assert study.runs()["status"].tolist() == ["running"]


def test_predictions_carry_sample_ids_and_class_names(study: selector.Study) -> None:
    frame = study.predictions(1)
    assert frame.shape == (60, 3)
    assert frame.columns.tolist() == ["ant", "bee", "cat"]
    assert frame.index[1] == "bee/1.png"
    np.testing.assert_allclose(np.exp(frame.to_numpy()).sum(axis=1), 1, rtol=1e-5)


def test_the_best_is_the_first_of_the_leaderboard(study: selector.Study) -> None:
    assert (study.best.rank, study.best.trial) == (1, 1)
    assert "3 complete" in study.report()


def test_an_empty_study_has_frames_but_no_best(filled: Store, results: Any) -> None:
    filled.create_study(results.study("empty"))
    empty = selector.Study.load("empty", filled.url)
    frames = (empty.leaderboard(), empty.trials(), empty.epochs(), empty.class_scores())
    assert all(isinstance(frame, pd.DataFrame) and frame.empty for frame in frames)
    assert "score" in empty.leaderboard()
    with pytest.raises(NoCandidateError, match="no complete trial"):
        _ = empty.best


def test_an_unknown_study_is_an_error_at_once(filled: Store) -> None:
    with pytest.raises(InputError, match="Did you mean 'flowers'"):
        selector.Study.load("flower", filled.url)


def test_the_store_comes_from_the_environment(
    tmp_path: Path, results: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'other.db'}"
    with Store.open(url) as store:
        results.fill(store)
    monkeypatch.setenv("SELECTOR_STORE", url)
    assert repr(selector.Study.load("flowers")) == f"Study('flowers', store='{url}')"


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, selector; selector.Study;"
        "print([m for m in ('torch', 'optuna', 'pandas', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_run_stays_the_function_once_its_module_is_imported() -> None:
    code = "import selector.run, selector; print(type(selector.run).__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "function"


def test_an_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Stduy'"):
        _ = selector.Stduy  # type: ignore[attr-defined]
