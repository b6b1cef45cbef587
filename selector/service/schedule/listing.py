"""The schedules that a store knows, and what became of their due times."""

from __future__ import annotations

from collections.abc import Sequence

from selector.records import Firing, ScheduleSummary
from selector.service.schedule.files import Listing
from selector.spec.calendar import next_due
from selector.store import Store

SHOWN = 10  # firings of all studies together


def schedules_of(
    store: Store, listing: Listing | None = None
) -> tuple[tuple[ScheduleSummary, ...], Sequence[Firing]]:
    """When each study is due next, and the latest firings, the newest first.

    Of the study files in `listing`, by default of all schedules that were ever served.
    """
    known = store.schedules
    if listing is None:
        calendar = [(each.study, each.file, each.cron, each.timezone) for each in known.all()]
    else:
        calendar = [
            (each.name, str(each.file), each.schedule.cron, each.schedule.timezone)
            for each in listing.studies
        ]
    last, now = known.last(), known.now()
    summaries = tuple(
        ScheduleSummary(
            study=study,
            file=file,
            cron=cron,
            timezone=timezone,
            next_due=next_due(cron, timezone, after=now),
            last=last.get(study),
        )
        for study, file, cron, timezone in calendar
    )
    return summaries, known.firings([each.study for each in summaries], limit=SHOWN)
