"""A study is deleted whole: Optuna's record of it, its rows, its files on this machine.

In that order, and what is still to do is always known: until the rows are gone the study is in the
store, and from then on a note beside the files says which of them are left. So whatever a crash
leaves, the same call completes. Its openings of the test split stay: what somebody has seen is not
unseen by a deletion, and the same data may come back in another study.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import optuna

from selector import uploads
from selector.disk import trial_of_checkpoint
from selector.errors import ConflictError, InputError, UnavailableError
from selector.records import StudyContents, StudyRow
from selector.search import resuming
from selector.search.storage import opened_storage, reachable, tables_version
from selector.spec.schema import FINALS
from selector.store import Store, study_lock
from selector.store.studies import run_lives

# Written by whoever looks at a study, and made again from it.
_PICTURES = ("trial-*-pictures", "alike-pictures")
WRITERS = ("_tensorboard",)  # folders below the artifacts in which each study has its own


def contents(store: Store, name: str, *, artifacts: Path) -> StudyContents:
    """What deleting the study `name` frees; nothing is changed.

    Files are those below this machine's `artifacts` that the study wrote: checkpoints, resume
    folders, pictures, curves. Bundles and files of other stores are none of them; nor are openings
    of the test split. Where a deletion was interrupted, what is left of it. Raises InputError for
    an unknown study.
    """
    if name.endswith(FINALS):
        raise InputError(
            f"'{name}' are the finals of study '{name.removesuffix(FINALS)}' and go with it: "
            f"selector delete {name.removesuffix(FINALS)}."
        )
    left = _noted(artifacts, name)
    if left and store.study(name) is None:
        return _measured(name, files=left)
    parts = _parts(store, store.require_study(name))
    return _measured(
        name,
        files=_named(store, name, artifacts),
        trials=sum(len(store.outcomes(part.name)) for part in parts),
        rows=dict(store.count_rows(name)),
        openings=len(store.openings(name)),
        optuna_studies=_optuna_studies(store, name),
    )


def delete(store: Store, name: str, *, artifacts: Path, force: bool = False) -> StudyContents:
    """Delete the study `name` and give what went.

    Raises ConflictError while workers hold trials of it or a run of it goes on here, unless
    `force`: such workers then end with an error, for their study is gone.
    """
    with study_lock(store, name):
        going = contents(store, name, artifacts=artifacts)
        # Those that are gone already too: the folder of one may be empty since then.
        files = _named(store, name, artifacts)
        if store.study(name) is not None:
            if not force:
                _refuse_while_in_use(store, name)
            _delete_from_optuna(store, going.optuna_studies)
            with _changing(artifacts):
                _note(artifacts, name, files)
            store.delete_study(name)
        with _changing(artifacts):
            _remove(files, artifacts=artifacts, used=store.files())
            _note_file(artifacts, name).unlink(missing_ok=True)
    return going


def _refuse_while_in_use(store: Store, name: str) -> None:
    held = sum(store.live_leases(part.name) for part in _parts(store, store.require_study(name)))
    here = [
        run.pid
        for run in store.runs(name)
        if run.status == "running"
        and run.host == socket.gethostname()
        and run.pid != os.getpid()
        and run_lives(run.pid, run.started_at)
    ]
    reasons = [f"workers hold {held} of its trials"] if held else []
    reasons += [f"a run of it goes on here (pid {pid})" for pid in here]
    if reasons:
        raise ConflictError(
            f"Study '{name}' is in use: {' and '.join(reasons)}. Stop them first, or add --force "
            "where they are gone."
        )


def _parts(store: Store, row: StudyRow) -> tuple[StudyRow, ...]:
    """The study and, where it has some, its finals."""
    stored = store.finals(row.name)
    return (row,) if stored is None else (row, store.require_study(stored.name))


# --- Optuna -------------------------------------------------------------------------------------


def _optuna_studies(store: Store, name: str) -> tuple[str, ...]:
    """Every version of the study, and its finals, as far as Optuna knows them."""
    if tables_version(store).current is None:
        return ()
    with reachable(store), opened_storage(store) as storage:
        known = [summary.study_name for summary in optuna.get_all_study_summaries(storage)]
    # Another study may be called `NAME.v2` itself: then that one is not ours.
    others = {row.name for row in store.studies()} - {name}
    pattern = re.compile(rf"{re.escape(name)}(\.v[0-9]+|{re.escape(FINALS)})?")
    return tuple(sorted(each for each in known if pattern.fullmatch(each) and each not in others))


def _delete_from_optuna(store: Store, studies: Iterable[str]) -> None:
    with reachable(store), opened_storage(store) as storage:
        for name in studies:
            optuna.delete_study(study_name=name, storage=storage)


# --- files --------------------------------------------------------------------------------------


def _named(store: Store, name: str, artifacts: Path) -> list[Path]:
    """Every file of the study, here or not; of one that is gone those that are left to remove."""
    row = store.study(name)
    parts = _parts(store, row) if row is not None else ()
    found = {file for part in parts for file in _files(store, part, artifacts)}
    return sorted({*_noted(artifacts, name), *found})


def _files(store: Store, row: StudyRow, artifacts: Path) -> Iterator[Path]:
    folder = artifacts / row.name
    yield from (artifacts / each.file for each in store.checkpoints(row.name))
    yield from (
        path for path in folder.glob("*.safetensors") if trial_of_checkpoint(path, row) is not None
    )
    ours = _short_hash(row)
    homes = [*(folder / resuming.FOLDER).glob(f"trial-*-{ours}")]
    homes += [artifacts / writer / f"{row.name}.{ours}" for writer in WRITERS]
    homes += [found for pattern in _PICTURES for found in folder.glob(pattern)]
    for home in homes:
        yield from (path for path in home.rglob("*") if path.is_file())


def _short_hash(row: StudyRow) -> str:
    return hashlib.sha256(row.created_at.isoformat().encode()).hexdigest()[:8]


def _measured(name: str, *, files: Iterable[Path], **rest: object) -> StudyContents:
    sizes: dict[Path, int] = {}
    for file in files:
        with suppress(FileNotFoundError):  # on another machine, or gone already
            sizes[file] = file.stat().st_size
    nothing: dict[str, object] = {"trials": 0, "rows": {}, "openings": 0, "optuna_studies": ()}
    return StudyContents(
        study=name,
        files=tuple(sizes),
        bytes=sum(sizes.values()),
        **(nothing | rest),  # type: ignore[arg-type]
    )


def _remove(files: Iterable[Path], *, artifacts: Path, used: frozenset[str]) -> None:
    """Delete files below the artifacts folder, and the folders that this leaves empty."""
    root = artifacts.resolve()
    for file in files:
        path = file.resolve()
        if not path.is_relative_to(root) or path.relative_to(root).as_posix() in used:
            continue
        path.unlink(missing_ok=True)
        uploads.remove(file)
        for folder in path.parents:
            if folder == root:
                break
            with suppress(OSError):  # not empty
                folder.rmdir()


@contextmanager
def _changing(artifacts: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnavailableError(
            f"The artifacts folder '{artifacts}' cannot be changed: {error.strerror or error}"
            f"{f' ({error.filename})' if error.filename else ''}. Mend that, and the same command "
            "completes the deletion."
        ) from error


# --- the note of what is left -------------------------------------------------------------------


def _note_file(artifacts: Path, name: str) -> Path:
    return artifacts / f".deleting-{name}.json"


def _noted(artifacts: Path, name: str) -> tuple[Path, ...]:
    """The files that an interrupted deletion had still to remove."""
    try:
        files = json.loads(_note_file(artifacts, name).read_text())
    except FileNotFoundError:
        return ()
    return tuple(artifacts / file for file in files)


def _note(artifacts: Path, name: str, files: Iterable[Path]) -> None:
    relative = [file.relative_to(artifacts).as_posix() for file in files]
    if not relative or not artifacts.is_dir():  # on this machine there is nothing to remove
        return
    target = _note_file(artifacts, name)
    half = target.with_suffix(".tmp")
    with half.open("w") as written:
        json.dump(relative, written)
        written.flush()
        os.fsync(written.fileno())
    half.rename(target)
