"""Studies for the search's tests, and a store with one of them in it."""

from __future__ import annotations

import datetime as dt
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from selector.records import DataSummary, RunStart, StudyRow
from selector.spec import StudySpec, parse_study, spec_sha256, to_plain
from selector.store import Store

HEAD = """
name: flowers
data: {source: "builtin:digits"}
metric: {name: f1_macro, goal: maximize}
"""
SPACE = """
search:
  backbone: ["toy:cnn", "timm:vit_tiny_patch16_224", "timm:resnet18"]
  lr: {log_uniform: [1.0e-5, 1.0e-2]}
  freeze_depth: {int: [0, 5]}
  batch_size: [16, 32]
  label_smoothing: {uniform: [0.0, 0.2]}
"""

ParseStudy = Callable[..., StudySpec]


@pytest.fixture
def study() -> ParseStudy:
    """A function that gives a study with the usual space and extra lines of YAML."""

    def make(extra: str = "", *, space: str = SPACE) -> StudySpec:
        return parse_study(HEAD + space + extra)

    return make


def summary(fingerprint: str = "f" * 64) -> DataSummary:
    """A data set of two classes as the store sees it."""
    return DataSummary(
        fingerprint=fingerprint,
        class_names=("a", "b"),
        counts={"train": 8, "validation": 4, "test": 4},
        class_counts={
            "a": {"train": 4, "validation": 2, "test": 2},
            "b": {"train": 4, "validation": 2, "test": 2},
        },
        validation_ids=("v0", "v1", "v2", "v3"),
        validation_labels=np.array([0, 0, 1, 1], dtype=np.int64),
    )


def register_study(store: Store, spec: StudySpec) -> int:
    """Put the study into the store and begin a run of it."""
    store.create_study(
        StudyRow(
            name=spec.name,
            metric=spec.metric.name,
            goal=spec.metric.goal,
            spec=to_plain(spec),
            spec_sha256=spec_sha256(spec),
            data=summary(),
            created_at=dt.datetime.now(dt.UTC),
        )
    )
    return begin_run(store, spec)


def begin_run(
    store: Store, spec: StudySpec, *, environment: Mapping[str, Any] | None = None
) -> int:
    """Another run of a study that is in the store."""
    return store.begin_run(
        RunStart(
            study=spec.name,
            command="selector run study.yaml",
            spec=to_plain(spec),
            fingerprint=summary().fingerprint,
            environment=environment or {},
            host=socket.gethostname(),
            pid=os.getpid(),
        )
    )


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An empty store, on each kind of database."""
    with Store.open(store_url) as opened:
        yield opened
