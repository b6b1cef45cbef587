"""The parity gate: what the exported file says of the validation images is what is stored.

The images are read again from their files, in a fresh process in which only the packages of the
bundle's requirements can be imported, by the program that lies in the bundle.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from selector import metrics
from selector.errors import ParityError
from selector.exporters.requirements import CONSUMER
from selector.records import Bytes, Floats, Ints, ParityReport, Threshold

# Two float32 computations on a CPU: the metric is the same, probabilities agree to 3 digits.
EXACT_SCORE = 1e-6
EXACT_PROBABILITY = 1e-3
# bfloat16 has 8 significant bits, so a GPU's predictions differ visibly from float32 ones.
LOOSE_FLIPS = 0.002
LOOSE_PROBABILITY = 0.05

LATENCY_REPEATS = 20
OWN = frozenset(("predict", "runtime"))  # the bundle's programs, whatever else has such a name
_CHILD = Path(__file__).with_name("gate_child.py")


@dataclass(frozen=True, slots=True)
class Reference:
    """What the store knows of the validation split, and the split's raw images.

    `images` are files, or pixels (n, height, width, 3) where the data has no files. `exact` where
    the stored predictions were made in float32 on a CPU.
    """

    images: tuple[Path, ...] | Bytes
    labels: Ints
    class_names: tuple[str, ...]
    log_probabilities: Floats
    metric: str
    positive: int | None
    score: float
    exact: bool
    threshold: Threshold | None = None  # of two classes: what decides labels


def check(
    bundle: Path,
    reference: Reference,
    *,
    threads: int = 1,
    python: Path = Path(sys.executable),
) -> ParityReport:
    """What the bundle says of the reference's images, beside what is stored.

    Its latency is measured with `threads` processor threads. `python` is the interpreter that runs
    it, here or in an environment of its own. Raises ParityError where the bundle cannot be run at
    all.
    """
    answer, found = _ask(bundle, reference, python, threads=threads)
    described = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))
    if not np.isfinite(found).all():
        raise ParityError(f"Bundle '{bundle.name}' gives probabilities that are no numbers.")
    found = _in_order(found, answer["class_names"], reference.class_names)
    score = metrics.compute(reference.metric, reference.labels, found, positive=reference.positive)
    return _verdict(
        reference,
        found,
        score,
        labels=tuple(answer["labels"]),
        latency_ms=float(answer["latency_ms"]),
        threads=threads,
        file_bytes=(bundle / described["file"]).stat().st_size,
        packages=tuple(answer["packages"]),
    )


def failure(report: ParityReport) -> str:
    """Why a report did not pass, in one line."""
    if report.allowed_score_difference is not None:
        how = (
            f"{report.metric} {report.score:.6f}, not {report.stored_score:.6f} as stored "
            f"(allowed difference {report.allowed_score_difference:g})"
        )
    else:
        how = (
            f"{report.flipped_labels} of {report.images} labels differ from the stored ones "
            f"(allowed {report.allowed_flipped_labels})"
        )
    if report.allowed_flipped_decisions is not None:
        how += (
            f"; by the threshold {report.flipped_decisions} of {report.images} labels differ "
            f"(allowed {report.allowed_flipped_decisions})"
        )
    return (
        f"{how}; probabilities differ by up to {report.probability_difference:.2g} "
        f"(allowed {report.allowed_probability_difference:g})"
    )


def _verdict(
    reference: Reference,
    found: Floats,
    score: float,
    *,
    labels: Sequence[str],
    latency_ms: float,
    threads: int,
    file_bytes: int,
    packages: tuple[str, ...],
) -> ParityReport:
    stored = reference.log_probabilities
    flipped = int((found.argmax(axis=1) != stored.argmax(axis=1)).sum())
    probability = float(np.abs(np.exp(found) - np.exp(stored)).max())
    difference = abs(score - reference.score)
    bound = EXACT_PROBABILITY if reference.exact else LOOSE_PROBABILITY
    allowed_flips = None if reference.exact else int(LOOSE_FLIPS * len(found))
    alike = difference <= EXACT_SCORE if allowed_flips is None else flipped <= allowed_flips
    decisions, allowed_decisions = 0, None
    if reference.threshold is not None:
        decisions = _differing(labels, reference, reference.threshold)
        allowed_decisions = int(LOOSE_FLIPS * len(found))
        alike = alike and decisions <= allowed_decisions
    return ParityReport(
        # A NaN is within no bound.
        passed=bool(alike and probability <= bound),
        exact=reference.exact,
        images=len(found),
        metric=reference.metric,
        stored_score=reference.score,
        score=score,
        score_difference=difference,
        allowed_score_difference=EXACT_SCORE if reference.exact else None,
        flipped_labels=flipped,
        allowed_flipped_labels=allowed_flips,
        probability_difference=probability,
        allowed_probability_difference=bound,
        latency_ms=latency_ms,
        file_bytes=file_bytes,
        packages=packages,
        threads=threads,
        flipped_decisions=decisions,
        allowed_flipped_decisions=allowed_decisions,
    )


def _differing(labels: Sequence[str], reference: Reference, threshold: Threshold) -> int:
    """How many labels of two classes are not those that the stored probabilities make.

    A probability that is the threshold but for rounding may fall to either side.
    """
    positive = reference.class_names.index(threshold.positive_class)
    stored = np.exp(reference.log_probabilities[:, positive].astype(np.float64))
    said = np.array([label == threshold.positive_class for label in labels])
    clear = np.abs(stored - threshold.value) > EXACT_SCORE
    return int((clear & (said != (stored >= threshold.value))).sum())


def _ask(
    bundle: Path, reference: Reference, python: Path, *, threads: int
) -> tuple[dict[str, Any], Floats]:
    """What a fresh process says: its answer, and log probabilities (n, classes)."""
    described = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))
    packages = importable(
        requirement.partition("==")[0] for requirement in described["requirements"]
    )
    with tempfile.TemporaryDirectory(prefix="selector-gate-") as name:
        folder = Path(name)
        request = {
            "bundle": str(bundle.resolve()),
            "packages": sorted(packages),
            "hidden": sorted(_installed() - packages - OWN),
            **_handed_over(reference.images, folder),
            "output": str(folder / "output.npy"),
            "answer": str(folder / "answer.json"),
            "repeats": LATENCY_REPEATS,
            "threads": threads,
        }
        (folder / "request.json").write_text(json.dumps(request))
        _run(python, folder / "request.json", bundle)
        answer: dict[str, Any] = json.loads((folder / "answer.json").read_text())
        return answer, np.load(folder / "output.npy", allow_pickle=False)


def _handed_over(images: tuple[Path, ...] | Bytes, folder: Path) -> dict[str, Any]:
    if isinstance(images, tuple):
        return {"paths": [str(path) for path in images], "pixels": None}
    np.save(folder / "pixels.npy", images)
    return {"paths": [], "pixels": str(folder / "pixels.npy")}


def _run(python: Path, request: Path, bundle: Path) -> None:
    # -I: neither PYTHONPATH nor the current folder nor the user's own packages. -B: no byte code
    # of its programs in the bundle.
    done = subprocess.run(
        [python, "-I", "-B", str(_CHILD), str(request)],
        cwd=request.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"]
        raise ParityError(f"Bundle '{bundle.name}' does not run in a fresh process: {lines[-1]}")


def _in_order(found: Floats, names: Sequence[str], wanted: Sequence[str]) -> Floats:
    """The columns in the order of the stored predictions: classes are compared by name."""
    if sorted(names) != sorted(wanted):
        raise ParityError(f"The bundle's classes are {list(names)}, not {list(wanted)}.")
    return found[:, [names.index(name) for name in wanted]]


def importable(distributions: Iterable[str]) -> frozenset[str]:
    """The names that can be imported once these distributions are installed, with all they need."""
    wanted, left = set[str](), [_plain(name) for name in distributions]
    while left:
        name = left.pop()
        if name not in wanted:
            wanted.add(name)
            left += _needs(name)
    names = {
        module
        for module, owners in importlib.metadata.packages_distributions().items()
        if any(_plain(owner) in wanted for owner in owners)
    }
    # Installed for development, this package lists no modules of its own.
    return frozenset(names | ({"selector"} if CONSUMER in wanted else set()))


def _needs(distribution: str) -> list[str]:
    """What an installed distribution requires without extras; nothing of one that is absent."""
    try:
        requires = importlib.metadata.requires(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    return [
        _plain(re.split(r"[^A-Za-z0-9._-]", text.strip(), maxsplit=1)[0])
        for text in requires
        if "extra ==" not in text
    ]


def _installed() -> frozenset[str]:
    """The names of everything installed here, this package too."""
    return frozenset((*importlib.metadata.packages_distributions(), "selector"))


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
