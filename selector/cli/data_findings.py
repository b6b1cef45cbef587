"""What the audit of the data found, in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from selector.records import AlikePictures, DataAudit, DataSummary
from selector.reporting import figures

_LISTED = 5  # of a kind; JSON has them all
_INDENT = " " * 8


def warning_lines(audit: DataAudit) -> tuple[str, ...]:
    """What makes scores worth less than they look, one line each; none when all is well."""
    doubtful = sum(group.labels_differ for group in audit.copies)
    leaking = sum(group.splits_differ for group in audit.near)
    found = (
        (doubtful, "picture(s) under more than one label"),
        (leaking, "picture(s) with near duplicates in several splits: scores may be too high"),
        (len(audit.moved), "image(s) moved to train, where their copies are"),
        (len(audit.bad), "bad image(s) left out"),
    )
    return tuple(f"audit   {count:,} {_agreeing(what, count)}" for count, what in found if count)


def finding_lines(summary: DataSummary) -> tuple[str, ...]:
    """Counts, duplicates and what was left out: few lines when all is well."""
    return (
        _counts(summary),
        _smallest_class(summary),
        *_alike_lines("copies", "the same picture", summary.audit.copies),
        *_near_lines(summary),
        *_listed("moved", "moved to train, where their copies are", summary.audit.moved),
        *_listed("bad", "left out", summary.audit.bad),
        *_passed_over(summary),
    )


def document(summary: DataSummary) -> dict[str, Any]:
    """Everything that is known of the data, for JSON."""
    return {
        "fingerprint": summary.fingerprint,
        "counts": dict(summary.counts),
        "class_counts": {name: dict(counts) for name, counts in summary.class_counts.items()},
        "skipped": list(summary.skipped),
        "audit": dataclasses.asdict(summary.audit),
    }


def _counts(summary: DataSummary) -> str:
    sizes = ", ".join(f"{count:,} {split}" for split, count in summary.counts.items())
    return f"data    {sizes} images in {len(summary.class_names)} classes"


def _smallest_class(summary: DataSummary) -> str:
    name, counts = min(summary.class_counts.items(), key=lambda item: sum(item[1].values()))
    sizes = ", ".join(f"{count:,} {split}" for split, count in counts.items())
    return f"classes the smallest is {figures.safe(name)}: {sizes} images"


def _alike_lines(word: str, what: str, groups: Sequence[AlikePictures]) -> tuple[str, ...]:
    if not groups:
        return (f"{word:<7} none",)
    files = sum(len(group.ids) for group in groups)
    torn = sum(group.splits_differ for group in groups)
    doubtful = sum(group.labels_differ for group in groups)
    summary = (
        f"{word:<7} {files:,} files in {len(groups):,} {_agreeing('group(s)', len(groups))} "
        f"show {what}: {torn:,} in several splits, {doubtful:,} under several labels"
    )
    return (summary, *_first(map(_alike, groups), len(groups)))


def _alike(group: AlikePictures) -> str:
    shown = [
        f"{figures.safe(name)} ({split}{f', {figures.safe(label)}' if group.labels_differ else ''})"
        for name, split, label in zip(group.ids, group.splits, group.labels, strict=True)
    ]
    more = f" and {len(shown) - _LISTED:,} more" if len(shown) > _LISTED else ""
    return f"{' = '.join(shown[:_LISTED])}{more}"


def _near_lines(summary: DataSummary) -> tuple[str, ...]:
    count, total = summary.audit.equality_only, sum(summary.counts.values())
    if count == total:
        return ("near    not looked for: images this small or plain all look alike",)
    lines = _alike_lines("near", "nearly the same picture", summary.audit.near)
    if not count:
        return lines
    return (*lines, f"{_INDENT}{count:,} too small or plain for that: compared for equality only")


def _listed(word: str, what: str, lines: Sequence[str]) -> tuple[str, ...]:
    if not lines:
        return ()
    summary = f"{word:<7} {len(lines):,} {_agreeing('image(s)', len(lines))} {what}"
    return (summary, *_first(map(figures.safe, lines), len(lines)))


def _passed_over(summary: DataSummary) -> tuple[str, ...]:
    count = len(summary.skipped) - len(summary.audit.bad)
    if not count:
        return ()
    return (f"other   {count:,} {_agreeing('file(s)', count)} passed over, no image by its name",)


def _first(lines: Iterable[str], total: int) -> tuple[str, ...]:
    shown = tuple(f"{_INDENT}{line}" for line, _ in zip(lines, range(_LISTED), strict=False))
    more = f"{_INDENT}... and {total - _LISTED:,} more; --format json lists all"
    return (*shown, more) if total > _LISTED else shown


def _agreeing(text: str, count: int) -> str:
    return text.replace("(s)", "" if count == 1 else "s")
