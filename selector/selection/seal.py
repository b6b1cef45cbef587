"""What was done when the test split had been opened: it may have been chosen with its help."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

from selector.records import Opening, TrialRow


def opened_at(openings: Sequence[Opening]) -> dt.datetime | None:
    """When the test split first told somebody something; None while it is sealed."""
    return min((each.opened_at for each in openings if each.scores), default=None)


def whose(opening: Opening, study: str) -> str:
    """What to add to a trial's number: nothing for one of `study`, else which study it was of."""
    if opening.is_by(study):
        return ""
    if not opening.study_deleted:
        return f" of study '{opening.study}' on the same data"
    earlier = "an earlier study" if opening.study == study else "study"
    return f" of {earlier} '{opening.study}', deleted since, on the same data"


def begun_after(trials: Iterable[TrialRow], moment: dt.datetime | None) -> tuple[int, ...]:
    """The numbers of the trials that began after `moment`; none where that is None."""
    if moment is None:
        return ()
    return tuple(t.number for t in trials if t.started_at is not None and t.started_at > moment)
