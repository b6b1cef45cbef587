from __future__ import annotations

import json
import zlib

import numpy as np

from selector.records import AlikePictures, DataAudit, DataSummary
from selector.store.encode import pack_validation, summary_to_plain, unpack_summary

SUMMARY = DataSummary(
    fingerprint="0123",
    class_names=("ant", "bee"),
    counts={"train": 4, "validation": 2, "test": 2},
    class_counts={"ant": {"train": 2, "validation": 1, "test": 1}},
    validation_ids=("ant/1.png", "bee/2.png"),
    validation_labels=np.array([0, 1]),
    skipped=("ant/README.txt",),
    audit=DataAudit(
        copies=(AlikePictures(("a", "b"), ("ant", "bee"), ("train", "test")),),
        near=(AlikePictures(("a", "c", "d"), ("ant",) * 3, ("train",) * 3),),
        moved=("b",),
        bad=("ant/x.png: not an image.",),
        equality_only=3,
    ),
)


def through_the_database(summary: DataSummary) -> DataSummary:
    plain = json.loads(json.dumps(summary_to_plain(summary)))
    return unpack_summary(summary.fingerprint, plain, pack_validation(summary))


def test_a_data_summary_comes_back_as_it_was() -> None:
    back = through_the_database(SUMMARY)
    assert back.validation_labels.tolist() == [0, 1]
    assert back.audit == SUMMARY.audit
    assert back.skipped == SUMMARY.skipped and back.counts == SUMMARY.counts


def test_a_summary_that_was_stored_without_an_audit_has_an_empty_one() -> None:
    old = zlib.compress(json.dumps({"ids": ["ant/1.png"], "labels": [0]}).encode())
    assert unpack_summary("0123", summary_to_plain(SUMMARY), old).audit == DataAudit()
