"""What a leaderboard with intervals, ties and groups costs, beside scoring resample by resample.

    python -m benchmarks.ranking

Target: 2,000 resamples of 200 candidates on 5,000 examples of 100 classes in under 10 s on one
core. The reference builds each resample and computes the metric on it, candidate by candidate; it
is timed on a few resamples of a few candidates, and its time for all of them follows from that.
"""

from __future__ import annotations

import argparse
import datetime as dt
import time

import numpy as np
import numpy.typing as npt

from selector import metrics, selection
from selector.records import DataSummary, Floats, Ints, StudyRow, TrialCounts, TrialRow
from selector.selection import resample

TARGET_SECONDS = 10.0
CLOSE = 1e-9


def main() -> None:
    """Time the leaderboard and the reference; end with the ratio of their times."""
    given = _arguments()
    study, trials, predictions = made_up(given.candidates, given.examples, given.classes)
    started = time.process_time()
    board = selection.build(
        study,
        trials,
        predictions=predictions,
        counts=TrialCounts(complete=len(trials)),
        metric=given.metric,
    )
    seconds = time.process_time() - started
    resamples = board.pick.resamples if board.pick else 0
    some = {number: predictions[number] for number in range(given.reference)}
    reference, same = _reference(study, some, given.metric, given.resamples)
    each = reference / (len(some) * given.resamples)
    plain = each * resamples * len(trials)
    print(f"{len(trials)} candidates, {given.examples} examples, {given.classes} classes")
    print(f"{given.metric} on {resamples} resamples: {seconds:.2f} s of CPU time")
    print(f"resample by resample: {1000 * each:.2f} ms each, {plain:.0f} s for all")
    print(f"tie groups: {max(row.tie_group or 0 for row in board.candidates)}")
    print(f"same within {CLOSE:.9f}: {'yes' if same else 'NO'}")
    print(f"target {TARGET_SECONDS:.0f} s: {'met' if seconds < TARGET_SECONDS else 'missed'}")
    print(f"ratio: {plain / seconds:.2f}")


def made_up(
    candidates: int, examples: int, classes: int
) -> tuple[StudyRow, tuple[TrialRow, ...], dict[int, Floats]]:
    """A study of candidates that are right for 60 to 90% of the examples."""
    generator = np.random.default_rng(0)
    labels = np.arange(examples, dtype=np.int64) % classes
    predictions: dict[int, Floats] = {}
    trials = []
    for number, accuracy in enumerate(np.linspace(0.6, 0.9, candidates)):
        wrong = generator.random(examples) > accuracy
        other = (labels + generator.integers(1, classes, examples)) % classes
        logits = generator.normal(0, 0.1, (examples, classes))
        logits[np.arange(examples), np.where(wrong, other, labels)] += 6
        log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        predictions[number] = log_p.astype(np.float32)
        trials.append(_trial(number, metrics.compute_all(labels, predictions[number])))
    data = DataSummary(
        "made up", tuple(map(str, range(classes))), {"validation": examples}, {}, (), labels
    )
    made = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return (
        StudyRow(
            name="ranking",
            metric="f1_macro",
            goal="maximize",
            spec={},
            spec_sha256="",
            data=data,
            created_at=made,
        ),
        tuple(trials),
        predictions,
    )


def _reference(
    study: StudyRow, predictions: dict[int, Floats], metric: str, resamples: int
) -> tuple[float, bool]:
    """Seconds of the plain way, and whether both ways agree on every resample."""
    labels = study.data.validation_labels
    # The plain way has whole samples alone, so here each class is drawn in full and none is scaled.
    weights = resample.Resamples(_in_full(labels, resamples), np.ones(len(labels)))
    rows = np.arange(len(labels))
    seconds, same = 0.0, True
    for log_p in predictions.values():
        started = time.process_time()
        plain = []
        for drawn in weights.counts.T:
            sample = np.repeat(rows, drawn)
            plain.append(metrics.compute(metric, labels[sample], log_p[sample]))
        seconds += time.process_time() - started
        fast = resample.scores(metric, labels, log_p, weights=weights)
        same = same and bool(np.allclose(fast, plain, rtol=0, atol=CLOSE))
    return seconds, same


def _in_full(labels: Ints, resamples: int) -> npt.NDArray[np.uint8]:
    """How often each sample occurs when every class is drawn in its size, (n, resamples)."""
    rng = np.random.default_rng(0)
    counts = np.zeros((len(labels), resamples), dtype=np.uint8)
    for index, size in enumerate(np.bincount(labels)):
        counts[labels == index] = rng.multinomial(size, np.full(size, 1 / size), resamples).T
    return counts


def _trial(number: int, values: dict[str, float]) -> TrialRow:
    return TrialRow(
        number=number,
        state="complete",
        backbone="toy:cnn",
        params={},
        origin="sampler",
        seed=0,
        score=values["f1_macro"],
        best_epoch=1,
        epochs=1,
        seconds=1.0,
        failure_cause=None,
        failure_message=None,
        parameters=1,
        trained_parameters=1,
        latency_ms=1.0,
        checkpoint=None,
        metrics=values,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--candidates", type=int, default=200)
    parser.add_argument("--examples", type=int, default=5000)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--metric", default="f1_macro")
    parser.add_argument("--reference", type=int, default=3, help="candidates of the reference")
    parser.add_argument("--resamples", type=int, default=100, help="resamples of the reference")
    return parser.parse_args()


if __name__ == "__main__":
    main()
