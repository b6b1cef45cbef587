"""The handle on a database of studies: every way in and out of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Self

from sqlalchemy import Engine

from selector.records import (
    BackboneProxies,
    ClassScore,
    EpochRecord,
    FinalRun,
    Floats,
    HeldTrial,
    Lease,
    NetworkCost,
    OpenedScore,
    Opening,
    OpeningStart,
    RunFailure,
    RunRow,
    RunStart,
    RunStatus,
    StoredCheckpoint,
    StoredFinals,
    StudyRow,
    StudySummary,
    TrialCounts,
    TrialEnd,
    TrialOutcome,
    TrialRow,
    TrialStart,
)
from selector.store import (
    artifacts,
    contents,
    costs,
    finals,
    leases,
    openings,
    proxies,
    results,
    states,
    studies,
    trials,
)
from selector.store.engine import connect, parse_url, reaching, safe_url
from selector.store.migrate import ensure_schema
from selector.store.schedules import Schedules
from selector.store.service import Service
from selector.store.shelves import Champions, History


class Store(Service):
    """A database of studies. Every method is one transaction; processes may share the database.

    Unknown studies and trials raise InputError, what contradicts the database ConflictError.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        both = (partial(self._transaction, self.engine), partial(self._transaction, self._writing))
        self.champions = Champions(*both)
        self.history = History(*both)

    @classmethod
    def open(cls, url: str) -> Self:
        """The store behind `url`, made where there is none; its schema is never changed.

        Raises InputError for a URL that names no store, UnavailableError where it cannot be
        reached, ConflictError where another selector, older or newer, made it.
        """
        parsed = parse_url(url)
        engine = connect(parsed)
        try:
            with reaching(parsed):
                ensure_schema(engine)
        except BaseException:
            engine.dispose()  # whoever waits for a server opens it again and again
            raise
        return cls(engine)

    @property
    def url(self) -> str:
        """The full URL, password included: for opening it again, never for printing."""
        return self.engine.url.render_as_string(hide_password=False)

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Store({safe_url(self.engine.url)!r})"

    # --- studies --------------------------------------------------------------------------------

    def study(self, name: str) -> StudyRow | None:
        """One study, or None where the name is unknown."""
        with self._transaction(self.engine) as connection:
            return studies.find_study(connection, name)

    def require_study(self, name: str) -> StudyRow:
        """One study; an unknown name is an InputError that lists the known ones."""
        with self._transaction(self.engine) as connection:
            if found := studies.find_study(connection, name):
                return found
            raise studies.unknown_study(connection, name)

    def create_study(self, study: StudyRow) -> None:
        """Add a study; ConflictError where the name is taken."""
        with self._transaction(self._writing) as connection:
            studies.create_study(connection, study)

    def update_study(self, study: StudyRow) -> None:
        """Replace what is stored of a study, but for its name and the time it was made."""
        with self._transaction(self._writing) as connection:
            studies.update_study(connection, study)

    def delete_study(self, name: str) -> None:
        """Delete a study with all it left but its openings; files are not touched."""
        with self._transaction(self._writing) as connection:
            studies.delete_study(connection, name)

    def count_rows(self, study: str) -> Mapping[str, int]:
        """The rows that go with a study and its finals, by table."""
        with self._transaction(self.engine) as connection:
            return contents.count_rows(connection, study)

    def studies(self) -> tuple[StudySummary, ...]:
        """Every study in one line each, the newest first."""
        with self._transaction(self.engine) as connection:
            return studies.list_studies(connection, states.states_by_study(connection))

    def counts(self, study: str) -> TrialCounts:
        """How many trials of a study are in each state."""
        with self._transaction(self.engine) as connection:
            return studies.count_trials(connection, study)

    def record_proxies(self, study: str, rows: Sequence[BackboneProxies]) -> None:
        """Record what the backbones' features are worth; what was recorded first stays."""
        with self._transaction(self._writing) as connection:
            proxies.record_proxies(connection, study, rows)

    def proxies(self, study: str) -> tuple[BackboneProxies, ...]:
        """The proxies of a study by backbone; empty where nothing was measured."""
        with self._transaction(self.engine) as connection:
            return proxies.list_proxies(connection, study)

    # --- finals and the test split --------------------------------------------------------------

    def create_finals(self, parent: str, row: StudyRow, fold_sizes: Sequence[int]) -> None:
        """Add the study that holds the finals of `parent`."""
        with self._transaction(self._writing) as connection:
            finals.create_finals(connection, parent, row, fold_sizes)

    def finals(self, study: str) -> StoredFinals | None:
        """The finals of a study; None where it has none yet."""
        with self._transaction(self.engine) as connection:
            return finals.find_finals(connection, study)

    def final_runs(self, finals_study: str) -> tuple[FinalRun, ...]:
        """The trials of the study that holds the finals, by number."""
        with self._transaction(self.engine) as connection:
            return finals.list_final_runs(connection, finals_study)

    def decide_finals(self, study: str, *, pick: int | None, reason: str) -> None:
        """Record what the finals of a study ended with."""
        with self._transaction(self._writing) as connection:
            finals.decide_finals(connection, study, pick, reason)

    def reopen_finals(self, study: str) -> None:
        """Say that the finals of a study go on; the pick so far stays until they end again."""
        with self._transaction(self._writing) as connection:
            finals.reopen_finals(connection, study)

    def begin_opening(self, start: OpeningStart) -> int:
        """Record that a test split is about to be read; the opening's key."""
        with self._transaction(self._writing) as connection:
            return openings.begin_opening(connection, start)

    def record_test_scores(self, opening: int, scores: Sequence[OpenedScore]) -> None:
        """Record what the test split said in an opening."""
        with self._transaction(self._writing) as connection:
            openings.record_test_scores(connection, opening, scores)

    def openings(self, study: str) -> tuple[Opening, ...]:
        """Every look at the test split of a study, the earliest first."""
        with self._transaction(self.engine) as connection:
            return openings.list_openings(connection, study)

    def openings_of_data(self, study: str) -> tuple[Opening, ...]:
        """Every look at the test split of a study, also by others on the same data and splits."""
        with self._transaction(self.engine) as connection:
            return openings.list_openings_of_data(connection, study)

    def record_costs(self, study: str, rows: Sequence[NetworkCost]) -> None:
        """Record what the networks of a study cost; what was recorded first stays."""
        with self._transaction(self._writing) as connection:
            costs.record_costs(connection, study, rows)

    def costs(self, study: str) -> tuple[NetworkCost, ...]:
        """What the networks of a study cost; empty where nothing was measured."""
        with self._transaction(self.engine) as connection:
            return costs.list_costs(connection, study)

    @property
    def schedules(self) -> Schedules:
        """Which studies are due when, and every time at which one was."""
        return Schedules(self.engine)

    # --- runs -----------------------------------------------------------------------------------

    def begin_run(self, start: RunStart) -> int:
        """Record a run that begins; its id."""
        with self._transaction(self._writing) as connection:
            return studies.begin_run(connection, start)

    def end_run(self, run_id: int, *, status: RunStatus, failure: RunFailure | None = None) -> None:
        """Record how a run ended, and why if before its budget."""
        with self._transaction(self._writing) as connection:
            studies.end_run(connection, run_id, status, failure)

    def runs(self, study: str) -> tuple[RunRow, ...]:
        """The runs of a study, in the order they began."""
        with self._transaction(self.engine) as connection:
            return studies.list_runs(connection, study)

    def folders(self, study: str) -> tuple[Path, ...]:
        """Where the runs of a study read relative paths from, the latest run's first."""
        known = (run.environment.get("folder") for run in reversed(self.runs(study)))
        return tuple(Path(str(folder)) for folder in known if folder)

    # --- trials ---------------------------------------------------------------------------------

    def start_trial(
        self, study: str, run_id: int, start: TrialStart, *, lease: Lease | None = None
    ) -> None:
        """Record a trial as running; one that was handed out before starts over."""
        with self._transaction(self._writing) as connection:
            trials.start_trial(connection, study, run_id, start, lease=lease)

    def finish_trial(self, study: str, end: TrialEnd, *, lease: Lease | None = None) -> None:
        """Record all that a trial leaves behind, or nothing.

        Raises TrialFailedError("non_finite") for a complete trial without a finite score,
        TrialLostError for a trial that is no longer that of `lease`.
        """
        with self._transaction(self._writing) as connection:
            trials.finish_trial(connection, study, end, lease=lease)

    def release_trial(self, study: str, number: int, *, lease: Lease | None = None) -> None:
        """Give a running trial back: it waits to be taken again.

        Raises TrialLostError for a trial that is no longer that of `lease`.
        """
        with self._transaction(self._writing) as connection:
            trials.release_trial(connection, study, number, lease=lease)

    def renew_lease(self, study: str, number: int, lease: Lease) -> bool:
        """Make a lease last its full time from now; False where it was lost."""
        with self._transaction(self._writing) as connection:
            return leases.renew_lease(connection, study, number, lease)

    def holds_lease(self, study: str, number: int, lease: Lease) -> bool:
        """Whether a running trial is still that of `lease`."""
        with self._transaction(self.engine) as connection:
            return leases.holds_lease(connection, study, number, lease)

    def live_leases(self, study: str | None = None) -> int:
        """How many trials workers hold now, of one study or of all, whatever schema it has.

        A schema from before there were leases has none.
        """
        with self._transaction(self.engine) as connection:
            if not leases.has_leases(connection):
                return 0
            key = None if study is None else studies.study_id(connection, study)
            return leases.count_live_leases(connection, key)

    def held_trials(
        self, study: str, *, after_restart_seconds: float = 0.0
    ) -> tuple[HeldTrial, ...]:
        """Every running trial and how long its lease lasts.

        It lasts at least until `after_restart_seconds` after the database server was started.
        """
        with self._transaction(self.engine) as connection:
            return leases.held_trials(
                connection, study, after_restart_seconds=after_restart_seconds
            )

    def retry_trials(self, study: str, numbers: Collection[int]) -> None:
        """Mark failed trials as to be run again under other numbers: all of them, or none."""
        with self._transaction(self._writing) as connection:
            trials.retry_trials(connection, study, numbers)

    # --- results --------------------------------------------------------------------------------

    def trials(self, study: str) -> tuple[TrialRow, ...]:
        """Every trial of a study by number, with its metrics."""
        with self._transaction(self.engine) as connection:
            return results.list_trials(connection, study)

    def outcomes(self, study: str) -> tuple[TrialOutcome, ...]:
        """Every trial of a study by number, without parameters and metrics: cheap to read often."""
        with self._transaction(self.engine) as connection:
            return results.list_outcomes(connection, study)

    def epochs(self, study: str) -> tuple[tuple[int, EpochRecord], ...]:
        """Every stored epoch as (trial number, epoch), in order."""
        with self._transaction(self.engine) as connection:
            return results.list_epochs(connection, study)

    def class_scores(self, study: str, number: int) -> tuple[ClassScore, ...]:
        """The scores of each class for one candidate; empty where the trial left none."""
        with self._transaction(self.engine) as connection:
            return results.list_class_scores(connection, study, number)

    def log_probabilities(self, study: str, number: int) -> Floats:
        """One candidate's validation log-probabilities, (n_validation, n_classes) float32."""
        with self._transaction(self.engine) as connection:
            return results.log_probabilities(connection, study, number)

    def predictions(self, study: str) -> Mapping[int, Floats]:
        """The log-probabilities of all candidates by trial number, each read when asked for."""
        with self._transaction(self.engine) as connection:
            numbers = results.predicted_trials(connection, study)
        return _Predictions(self, study, numbers=numbers)

    # --- files ----------------------------------------------------------------------------------

    def checkpoints(self, study: str) -> tuple[StoredCheckpoint, ...]:
        """The checkpoints of a study by trial number."""
        with self._transaction(self.engine) as connection:
            return artifacts.list_checkpoints(connection, study)

    def files(self) -> frozenset[str]:
        """Every file that any trial of the store refers to, below the artifacts folder."""
        with self._transaction(self.engine) as connection:
            return artifacts.list_files(connection)

    def forget_checkpoints(self, study: str, trials: Collection[int]) -> None:
        """Take the checkpoints of some trials off the record; files are not touched."""
        with self._transaction(self._writing) as connection:
            artifacts.forget_checkpoints(connection, study, trials)


class _Predictions(Mapping[int, Floats]):
    """Predictions by trial number, never all in memory at once."""

    def __init__(self, store: Store, study: str, *, numbers: tuple[int, ...]) -> None:
        self._store = store
        self._study = study
        self._numbers = dict.fromkeys(numbers)

    def __getitem__(self, number: int) -> Floats:
        if number not in self._numbers:
            raise KeyError(number)
        return self._store.log_probabilities(self._study, number)

    def __contains__(self, number: object) -> bool:
        return number in self._numbers

    def __iter__(self) -> Iterator[int]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)
