"""Checkpoints beyond the best ones leave the disk as a study goes on.

First the record of a checkpoint goes, in one transaction, then its file: a process that dies in
between leaves a file that nobody refers to, which `selector gc` frees, and never the reverse.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from selector import uploads
from selector.errors import UnavailableError
from selector.records import Goal, StoredCheckpoint
from selector.selection.retention import finals_may_choose, kept
from selector.store import Store, study_lock


def protected_trials(store: Store, study: str, *, goal: Goal, top: int | None) -> frozenset[int]:
    """The trials of a study whose checkpoints are never collected, whatever `keep` says.

    Those that finals of `top` leaders may choose, all that have been in the finals, and the pick.
    """
    protected = set(finals_may_choose(store.outcomes(study), goal=goal, top=top))
    if (finals := store.finals(study)) is not None:
        protected |= {run.heat.finalist for run in store.final_runs(finals.name)}
        protected |= set() if finals.pick is None else {finals.pick}
    return frozenset(protected)


def collectable(
    store: Store, study: str, *, goal: Goal, best: int | None, top: int | None
) -> tuple[StoredCheckpoint, ...]:
    """The checkpoints that `keep: {best: N}` does not keep; none where N is None.

    `top` is that of the study's finals, None where it has none.
    """
    if best is None:
        return ()
    staying = kept(
        store.outcomes(study),
        goal=goal,
        best=best,
        protected=protected_trials(store, study, goal=goal, top=top),
    )
    return tuple(each for each in store.checkpoints(study) if each.trial not in staying)


def collect(
    store: Store,
    study: str,
    *,
    goal: Goal,
    best: int | None,
    top: int | None,
    artifacts: Path,
) -> tuple[StoredCheckpoint, ...]:
    """Take the checkpoints that are not kept off the record and the disk; gives what went."""
    if best is None:
        return ()
    # Under the lock, or a trial that is about to be protected could lose its file.
    with study_lock(store, study):
        going = collectable(store, study, goal=goal, best=best, top=top)
        if going:
            store.forget_checkpoints(study, [each.trial for each in going])
    still_used = store.files() if going else frozenset()
    for each in going:
        if each.file not in still_used:
            remove(artifacts, each.file)
    return going


def remove(artifacts: Path, file: str) -> None:
    """Delete a file below the artifacts folder, and never one elsewhere."""
    path = (artifacts / file).resolve()
    if path.is_relative_to(artifacts.resolve()):
        # What cannot be deleted now, on a disk that is only read, `selector gc` tries again.
        with suppress(OSError, UnavailableError):
            path.unlink(missing_ok=True)
            uploads.remove(artifacts / file)
