"""The model card: what a bundle is, how good it is, and what is not known, in Markdown."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selector import metrics
from selector.exporters.shipping import Shipped
from selector.records import (
    ClassScore,
    Finalist,
    Floats,
    Ints,
    LeaderboardRow,
    Licence,
    OpenedScore,
    Opening,
    ParityReport,
    StudyRow,
    Threshold,
)
from selector.selection.seal import whose
from selector.spec.schema import LimitsSpec

_CONFUSED = 5  # pairs of classes listed


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """All that a card tells."""

    study: StudyRow
    candidate: LeaderboardRow
    class_scores: tuple[ClassScore, ...]
    log_probabilities: Floats
    environment: Mapping[str, Any]  # of the study's last run
    about: Mapping[str, Any]  # bundle.json
    threshold: Threshold | None
    licences: tuple[Licence, ...]
    parity: ParityReport
    shipped: Shipped
    limits: LimitsSpec
    finalist: Finalist | None  # of finals that have ended
    opened: OpenedScore | None  # what it scored on the test split, once that was opened
    other_looks: tuple[Opening, ...]  # at the same test split, that did not score it
    after_opening: bool  # trained when somebody had seen what that split says
    made_at: dt.datetime


def card(facts: CardFacts) -> str:
    """The card as Markdown."""
    sections = (
        _head(facts),
        _data(facts),
        _scores(facts),
        _classes(facts),
        _confusion(facts.study, facts.log_probabilities),
        _use(facts),
        _parity(facts),
        _recipe(facts),
        _licences(facts.licences),
        _limits(facts),
        _origin(facts),
    )
    return "\n".join(line for section in sections for line in (*section, ""))


def _head(facts: CardFacts) -> list[str]:
    row = facts.candidate
    return [
        f"# {_safe(facts.study.name)}, trial {row.trial}",
        "",
        f"An image classifier for {len(facts.study.data.class_names)} classes: "
        f"{_code(row.backbone)} with a linear head, {row.parameters:,} parameters, "
        f"as `{facts.about['format']}`.",
    ]


def _data(facts: CardFacts) -> list[str]:
    data = facts.study.data
    counts = ", ".join(f"{data.counts[name]:,} {name}" for name in data.counts)
    spec = facts.study.spec.get("data", {})
    where = spec.get("path") or spec.get("source") or "not recorded"
    return [
        "## Data",
        "",
        f"{_code(where)}: {counts} images. Fingerprint `{data.fingerprint}`.",
    ]


def _scores(facts: CardFacts) -> list[str]:
    row, metric = facts.candidate, facts.study.metric
    lines = [
        "## Score",
        "",
        f"{metric} {row.score:.4f} on the validation split, 95% interval "
        f"{row.ci_low:.4f} to {row.ci_high:.4f} (bootstrap over its images). The candidate was "
        "chosen on the same images, so the score is a little too good.",
    ]
    if facts.finalist is not None:
        lines += ["", _finals(facts.finalist, metric)]
    lines += ["", _tested(facts.opened, metric), *_other_looks(facts)]
    if facts.threshold is not None:
        lines += ["", _threshold(facts.threshold)]
    others = [(name, f"{value:.4f}") for name, value in row.metrics.items() if name != metric]
    return [*lines, "", *_table(("metric", "validation"), others)]


def _finals(row: Finalist, metric: str) -> str:
    """What trainings with other seeds came to."""
    runs = len(row.scores)
    spread = "" if math.isnan(row.sd) else f", standard deviation {row.sd:.4f}"
    known = not math.isnan(row.ci_low)
    interval = f", 95% interval {row.ci_low:.4f} to {row.ci_high:.4f}" if known else ""
    failed = f"; {row.failed} more failed" if row.failed else ""
    return (
        f"Trained again in the finals, rank {row.rank}: mean {metric} {row.mean:.4f} over "
        f"{runs} run{'' if runs == 1 else 's'}{spread}{interval}{failed}. The network of this "
        "bundle is the one of the search."
    )


def _tested(score: OpenedScore | None, metric: str) -> str:
    if score is None:
        return "The test split has not been opened for this candidate."
    return (
        f"On the sealed test split: {metric} {score.test_score:.4f}, 95% interval "
        f"{score.ci_low:.4f} to {score.ci_high:.4f}; "
        f"{score.test_score - score.validation_score:+.4f} against validation."
    )


def _other_looks(facts: CardFacts) -> list[str]:
    """Who else has seen what the test split says, and whether the candidate is older than that."""
    lines = ["", "The same test split was also opened:", ""] if facts.other_looks else []
    for look in facts.other_looks:
        where = f"trial {look.trial}{whose(look, facts.study.name)}"
        said = f"{look.opened_at:%Y-%m-%d %H:%M} UTC by {look.who} for {where}: {look.why}"
        lines.append(f"- {_safe(said)}")
    if facts.after_opening:
        lines += [
            "",
            "The candidate was trained after the split had first been opened, so it may have been "
            "chosen with its help: a test score is no proof.",
        ]
    return lines


def _threshold(threshold: Threshold) -> str:
    name, value = _code(threshold.positive_class), f"{threshold.value:.4f}"
    text = f"{name} is predicted from a probability of {value}"
    if threshold.tuned_for is None:
        return f"{text}."
    return (
        f"{text}, tuned for {threshold.tuned_for} on validation, "
        f"where it reaches {threshold.score:.4f}."
    )


def _classes(facts: CardFacts) -> list[str]:
    rows = [
        (_safe(c.name), f"{c.precision:.3f}", f"{c.recall:.3f}", f"{c.f1:.3f}", str(c.support))
        for c in facts.class_scores
    ]
    return ["## Classes", "", *_table(("class", "precision", "recall", "F1", "images"), rows)]


def _confusion(study: StudyRow, log_probabilities: Floats) -> list[str]:
    names, labels = study.data.class_names, study.data.validation_labels
    pairs = _most_confused(labels, log_probabilities, len(names))
    rows = [(_safe(names[a]), _safe(names[b]), str(n)) for a, b, n in pairs]
    if not rows:
        return ["No validation image is labelled wrongly."]
    heading = "Most frequent mistakes on validation:"
    return [heading, "", *_table(("true class", "predicted as", "images"), rows)]


def _most_confused(
    labels: Ints, log_probabilities: Floats, n_classes: int
) -> list[tuple[int, int, int]]:
    """True class, predicted class and count of the most frequent mistakes."""
    predicted = metrics.predicted_classes(log_probabilities)
    counts = metrics.confusion(labels, predicted, n_classes)
    pairs = [
        (true, wrong, int(counts[true, wrong]))
        for true in range(n_classes)
        for wrong in range(n_classes)
        if true != wrong and counts[true, wrong]
    ]
    return sorted(pairs, key=lambda pair: -pair[2])[:_CONFUSED]


def _use(facts: CardFacts) -> list[str]:
    about = facts.about
    return [
        "## Use",
        "",
        "```",
        "pip install -r requirements.txt",
        "python predict.py IMAGE [IMAGE ...]",
        "```",
        "",
        f"`{about['file']}` takes {_tensor(about['input'])} and gives {_tensor(about['output'])}. "
        f"{about['preprocessing_steps']} Normalisation: {about['normalised_by']}.",
    ]


def _tensor(about: Mapping[str, Any]) -> str:
    shape = ", ".join(str(size) for size in about["shape"])
    return f"`{about['name']}` ({shape}) {about['dtype']}"


def _parity(facts: CardFacts) -> list[str]:
    parity = facts.parity
    rows = [
        ("images read again from raw", str(parity.images)),
        (f"{parity.metric} stored", f"{parity.stored_score:.8f}"),
        (f"{parity.metric} of this file", f"{parity.score:.8f}"),
        ("labels that differ", str(parity.flipped_labels)),
        ("largest difference of a probability", f"{parity.probability_difference:.2g}"),
        *_decisions(parity),
        (
            f"median latency of one image, CPU, {parity.threads} "
            f"thread{'' if parity.threads == 1 else 's'}",
            f"{parity.latency_ms:.2f} ms",
        ),
        ("size of the file", f"{parity.file_bytes / 1e6:.2f} MB"),
        ("packages imported", ", ".join(parity.packages)),
    ]
    verdict = "passed" if parity.passed else "FAILED"
    lines = ["## Parity gate", "", f"**{verdict}**", "", *_table(("", ""), rows)]
    return [*lines, *_ship_limits(facts)]


def _decisions(parity: ParityReport) -> list[tuple[str, str]]:
    if parity.allowed_flipped_decisions is None:
        return []
    return [("labels by the threshold that differ", str(parity.flipped_decisions))]


def _ship_limits(facts: CardFacts) -> list[str]:
    """How the exported file stands to the limits of the study, where it has any."""
    if not facts.limits.given:
        return []
    shipped = facts.shipped
    met = "" if shipped.unmet or shipped.unchecked else "All ship limits of the study are met."
    over = f"Exceeds the ship limits of the study: {', '.join(shipped.unmet)}."
    parts = [over if shipped.unmet else met, _safe(shipped.unchecked or "")]
    return ["", " ".join(part for part in parts if part)]


def _recipe(facts: CardFacts) -> list[str]:
    rows = [(name, _safe(value)) for name, value in facts.candidate.params.items()]
    rows += [
        ("weights", _safe(facts.about["initial_weights"])),
        ("seed", str(facts.about["seed"])),
        ("epochs", f"{facts.candidate.epochs}, the best one {facts.candidate.best_epoch}"),
        ("trained in", str(facts.about["trained_precision"])),
        ("exported in", str(facts.about["precision"])),
        ("seconds", f"{facts.candidate.seconds:.1f}"),
    ]
    machine = [
        (name, _safe(facts.environment[name]))
        for name in ("device", "cores", "platform", "python")
        if name in facts.environment
    ]
    return ["## Recipe and hardware", "", *_table(("", ""), [*rows, *machine])]


def _licences(licences: Sequence[Licence]) -> list[str]:
    rows = [(_safe(each.part), _safe(each.terms), _safe(each.source)) for each in licences]
    return ["## Licences", "", *_table(("of", "terms", "according to"), rows)]


def _limits(facts: CardFacts) -> list[str]:
    return [
        "## Limits",
        "",
        "- Every image gets one of the classes above, also an image of something else.",
        "- The score holds for images like those of the validation split; nothing was measured on "
        "others, nor for groups of people or places within them.",
        "- Probabilities are not calibrated beyond what training gives: expected calibration error "
        f"{facts.candidate.metrics.get('ece', float('nan')):.3f} on validation.",
    ]


def _origin(facts: CardFacts) -> list[str]:
    commit = facts.environment.get("git_commit") or "not recorded"
    return [
        "## Made by",
        "",
        "```",
        facts.about["command"],
        "```",
        "",
        f"{facts.made_at:%Y-%m-%d %H:%M} UTC; git commit of the study: {_safe(commit)}.",
    ]


def _table(heads: Iterable[str], rows: Iterable[Sequence[str]]) -> list[str]:
    heads = tuple(heads)
    lines = [_line(heads), _line(["---"] * len(heads))]
    return [*lines, *(_line(row) for row in rows)]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _code(value: object) -> str:
    """Text of others as code."""
    return f"`{' '.join(str(value).split()).replace('`', '')}`"


def _safe(value: object) -> str:
    """Text of others that cannot break a table or mean Markdown."""
    text = " ".join(str(value).split())
    return "".join(f"\\{c}" if c in r"\`*_[]<>|#" else c for c in text)
