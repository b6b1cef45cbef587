"""A study in the store, and what a later run of it may mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from selector.errors import ConflictError
from selector.registration import register
from selector.store import Store
from tests.search.conftest import begin_run, summary
from tests.test_drift import STUDY, parse_study


@pytest.fixture
def store(store_url):
    with Store.open(store_url) as opened:
        yield opened


def test_a_refusal_leaves_the_store_as_it_was_and_names_the_ways_out(store):
    first = register(store, parse_study(STUDY), summary(), base=Path.cwd())
    narrower = parse_study(STUDY.replace("[16, 32]", "16"))
    with pytest.raises(ConflictError) as refused:
        register(store, narrower, summary(), base=Path.cwd())
    assert "search.batch_size: [16, 32] -> 16" in str(refused.value)
    assert "--fork NEWNAME" in str(refused.value)
    assert "--accept-drift" in str(refused.value)
    assert store.require_study("flowers").spec == first.study.spec


def test_drift_is_accepted_on_purpose_and_named(store):
    register(store, parse_study(STUDY), summary(), base=Path.cwd())
    changed = parse_study(STUDY + "seed: 3\n")
    accepted = register(store, changed, summary(), base=Path.cwd(), accept_drift=True)
    assert accepted.accepted == ("  seed: 0 -> 3",)
    assert register(store, changed, summary(), base=Path.cwd()).accepted == ()


def test_another_metric_is_refused_whatever_is_accepted(store):
    register(store, parse_study(STUDY), summary(), base=Path.cwd())
    changed = parse_study(STUDY.replace("f1_macro", "accuracy"))
    with pytest.raises(ConflictError, match=r"metric\.name") as refused:
        register(store, changed, summary(), base=Path.cwd(), accept_drift=True)
    assert "--accept-drift" not in str(refused.value)


def test_another_file_of_weights_under_the_same_name_is_noticed(store, tmp_path):
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"one")
    spec = parse_study(STUDY + 'backbones: {"toy:cnn": {weights: weights.safetensors}}\n')
    first = register(store, spec, summary(), base=tmp_path)
    begin_run(store, spec, environment={"weights": dict(first.weights)})
    register(store, spec, summary(), base=tmp_path)
    weights.write_bytes(b"two")
    with pytest.raises(ConflictError, match="weights of toy:cnn"):
        register(store, spec, summary(), base=tmp_path)


def test_a_wider_space_before_any_trial_is_the_same_version(store):
    register(store, parse_study(STUDY), summary(), base=Path.cwd())
    wider = parse_study(STUDY.replace("[16, 32]", "[8, 16, 32]"))
    registered = register(store, wider, summary(), base=Path.cwd())
    assert registered.study.version == 1
    assert registered.wider == ("  search.batch_size: [16, 32] -> [8, 16, 32]",)
