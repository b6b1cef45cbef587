"""`keep` and finals together: whatever the finals pick can be shipped."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from selector import data
from selector.cli.app import app
from selector.predict import candidate_of
from selector.run import run
from selector.spec.schema import DataSpec
from selector.store import Store

STUDY = """
name: tiny
data: {source: "builtin:digits", limit: 240}
metric: {name: f1_macro, goal: maximize}
search:
  backbone: toy:cnn
  lr: {log_uniform: [1.0e-3, 1.0e-2]}
  freeze_depth: 0
  batch_size: [16, 32]
  image_size: 8
pruner: none
keep: {best: 1}
budget: {trials: 6, epochs: 1}
finals: {top: 3, seeds: 1}
seed: 3
"""


def selector(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), prog_name="selector")


@pytest.fixture
def place(own_place: Path) -> Path:
    """A folder of its own with the study file."""
    (own_place / "study.yaml").write_text(STUDY)
    return own_place


def test_the_pick_of_a_study_that_keeps_one_checkpoint_is_exported_predicts_and_is_unsealed(
    place: Path,
) -> None:
    board = run("study.yaml")

    assert board.finals is not None and board.verdict is not None
    with Store.open(f"sqlite:///{place / 'selector.db'}") as store:
        kept = {each.trial for each in store.checkpoints("tiny")}
        assert {row.trial for row in board.finals.finalists} <= kept
        assert len(kept) < 6  # and what cannot be picked went
        assert candidate_of(store, "tiny").number == board.verdict.trial
    exported = selector("export", "tiny", "--output", "bundle")
    assert exported.exit_code == 0, exported.stderr
    dataset = data.inspect(DataSpec(source="builtin:digits", limit=240), base=place)
    dataset.images.load(0).image.save("digit.png")
    said = selector("predict", "bundle", "digit.png")
    assert said.exit_code == 0, said.stderr
    opened = selector("unseal", "tiny", "-q", "--format", "json")
    assert opened.exit_code == 0, opened.stderr
    # Trial 0, the first configuration, is measured beside the pick, or is the pick.
    assert ('"reference"' in opened.stdout) != (board.verdict.trial == 0)
