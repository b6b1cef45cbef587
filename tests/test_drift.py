"""What may change between two runs of a study, and what makes a difference."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest

from selector.drift import Drift, compare, made_otherwise
from selector.records import StudyRow
from selector.spec import StudySpec, parse_study, spec_sha256, to_plain
from tests.search.conftest import summary

STUDY = """
name: flowers
data: {source: "builtin:digits"}
metric: {name: f1_macro, goal: maximize}
search:
  backbone: ["toy:cnn", "timm:resnet18"]
  lr: {log_uniform: [1.0e-4, 1.0e-2]}
  freeze_depth: {int: [1, 4]}
  batch_size: [16, 32]
  image_size: 64
"""

MADE = {"packages": {"torch": "2.15"}, "code": "b" * 64}


def stored(spec: StudySpec) -> StudyRow:
    return StudyRow(
        name=spec.name,
        metric=spec.metric.name,
        goal=spec.metric.goal,
        spec=to_plain(spec),
        spec_sha256=spec_sha256(spec),
        data=summary(),
        created_at=dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
    )


def changed(old: str, new: str, *, extra: str = "", study: str = STUDY) -> Drift:
    """The drift of the study when `old` is replaced in its file."""
    assert old in study
    row = stored(parse_study(study))
    now = parse_study(study.replace(old, new) + extra)
    return compare(row, now, summary(), weights_before={}, weights_now={})


def test_nothing_changed():
    assert changed("flowers", "flowers") == Drift()


@pytest.mark.parametrize(
    "extra",
    [
        "budget: {trials: 99, epochs: 3}\n",
        "description: another\n",
        "device: cpu\n",
        "funnel: off\n",
        'schedule: {cron: "0 2 * * *"}\n',
        "training: {prefix_cache: off}\n",
    ],
)
def test_what_is_free_to_change(extra):
    assert changed("flowers", "flowers", extra=extra) == Drift()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[16, 32]", "[16, 32, 64]"),
        ("[1.0e-4, 1.0e-2]", "[1.0e-5, 1.0e-2]"),
        ("[1.0e-4, 1.0e-2]", "[1.0e-4, 1.0e-1]"),
        ("{int: [1, 4]}", "{int: [0, 5]}"),
        ("{int: [1, 4]}", "[4, 3, 2, 1]"),
        ("image_size: 64", "image_size: [64, 96]"),
        ('"timm:resnet18"]', '"timm:resnet18", "timm:resnet34"]'),
    ],
)
def test_a_space_that_grows_is_wider(old, new):
    drift = changed(old, new)
    assert drift.wider
    assert not drift.forbidden
    assert not drift.doubtful


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[16, 32]", "[16, 64]"),
        ("[1.0e-4, 1.0e-2]", "[2.0e-4, 1.0e-2]"),
        ("[1.0e-4, 1.0e-2]", "[1.0e-4, 5.0e-3]"),
        ("{int: [1, 4]}", "{int: [1, 3]}"),
        ("{int: [1, 4]}", "3"),
        ("image_size: 64", "image_size: 96"),
        (', "timm:resnet18"]', "]"),
        ("flowers\n", "flowers\nseed: 3\n"),
        ("flowers\n", "flowers\nweights: random\n"),
        ("flowers\n", "flowers\nsampler: random\n"),
    ],
)
def test_a_space_that_shrinks_and_other_settings_are_doubtful(old, new):
    drift = changed(old, new)
    assert drift.doubtful
    assert not drift.forbidden


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("f1_macro", "accuracy"),
        ("metric: {name: f1_macro, goal: maximize}", "metric: {name: log_loss, goal: minimize}"),
    ],
)
def test_another_metric_is_forbidden(old, new):
    assert changed(old, new).forbidden


def test_a_range_of_one_backbone_counts():
    block = 'backbones: {"toy:cnn": {search: {lr: {log_uniform: [1.0e-3, 1.0e-2]}}}}\n'
    assert "search.lr" in changed("flowers", "flowers", extra=block).doubtful[0]


def test_a_new_backbone_may_bring_its_own_weights():
    block = 'backbones: {"timm:resnet34": {weights: random}}\n'
    drift = changed('"timm:resnet18"]', '"timm:resnet18", "timm:resnet34"]', extra=block)
    assert (drift.forbidden, drift.doubtful) == ((), ())


def test_more_training_data_is_doubtful_and_another_validation_split_forbidden():
    spec = parse_study(STUDY)
    more = replace(summary("e" * 64), counts={"train": 9, "validation": 4, "test": 4})
    other = replace(more, validation_labels=np.array([0, 1, 1, 1]))
    for data, kind in ((more, "doubtful"), (other, "forbidden")):
        drift = compare(stored(spec), spec, data, weights_before={}, weights_now={})
        assert getattr(drift, kind) == (
            "  data: 8/4/4 images (ffffffffffff) -> 9/4/4 images (eeeeeeeeeeee)",
        )


def test_another_weights_file_is_doubtful():
    spec = parse_study(STUDY)
    drift = compare(
        stored(spec),
        spec,
        summary(),
        weights_before={"toy:cnn": "a" * 64},
        weights_now={"toy:cnn": "b" * 64, "timm:resnet18": "c" * 64},
    )
    assert drift.doubtful == ("  weights of toy:cnn: aaaaaaaaaaaa -> bbbbbbbbbbbb",)


def test_other_packages_and_other_code_are_named_one_by_one():
    before = {"packages": {"torch": "2.14", "timm": "1.0"}, "code": "a" * 64}
    now = {"packages": {"torch": "2.15", "numpy": "2.4"}, "code": "b" * 64}
    assert made_otherwise(before, now) == (
        "  numpy: (absent) -> '2.4'",
        "  timm: '1.0' -> (absent)",
        "  torch: '2.14' -> '2.15'",
        "  code of selector: aaaaaaaaaaaa -> bbbbbbbbbbbb",
    )


@pytest.mark.parametrize("before", [{}, {"host": "here"}, MADE])
def test_what_was_not_recorded_is_not_compared(before):
    assert made_otherwise(before, MADE) == ()
