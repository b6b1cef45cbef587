"""Who runs which trial, on each kind of database."""

from __future__ import annotations

import dataclasses
import multiprocessing
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy import text

from selector import processes
from selector.errors import TrialLostError
from selector.events import Event, Observer, StoreAnswers, StoreSilent, TrialNote, nobody
from selector.records import EpochRecord, ProcessName, TrialEnd, TrialStart
from selector.search import pruners, storage
from selector.search.claims import Claim, Claims
from selector.search.owners import MOST_DEATHS, OWNER, process_named
from selector.spec import StudySpec
from selector.store import Store
from tests.search.conftest import ParseStudy, begin_run, register_study


def open_claims(
    store: Store, spec: StudySpec, run_id: int, *, observe: Observer = nobody
) -> tuple[Claims, optuna.Study]:
    pruner = pruners.load("none").build(spec, {})
    optuna_storage = storage.open_storage(store)
    study = storage.open_study(
        optuna_storage, store, spec.name, goal=spec.metric.goal, pruner=pruner
    )
    claims = Claims(store, study, spec, run_id=run_id, observe=observe)
    claims.plan()
    return claims, study


def take(claims: Claims) -> Claim:
    claim = claims.take()
    assert isinstance(claim, Claim), claim
    return claim


def pruned(number: int, score: float = 0.5) -> TrialEnd:
    epoch = EpochRecord(
        epoch=1, train_loss=1.0, validation_loss=1.0, score=score, lr=0.1, seconds=0.1
    )
    return TrialEnd(
        number=number, state="pruned", epochs=(epoch,), score=score, best_epoch=1, seconds=0.1
    )


def states(study: optuna.Study) -> list[TrialState]:
    return [trial.state for trial in study.get_trials(deepcopy=False)]


@pytest.fixture
def six(study: ParseStudy) -> StudySpec:
    return study("budget: {trials: 6}\n")


def test_a_study_ends_with_exactly_its_budget(store: Store, six: StudySpec) -> None:
    claims, study = open_claims(store, six, register_study(store, six))
    for _ in range(6):
        claim = take(claims)
        claims.end(claim, pruned(claim.number))
    assert claims.take() == "6 trials"
    assert states(study) == [TrialState.PRUNED] * 6


class Robbed(Claims):
    """Claims whose lock the server takes back while the first trial is proposed."""

    def _start(self, trial: optuna.Trial) -> TrialStart:
        start = super()._start(trial)
        if self.robbed == 0:
            self.robbed = end_lock_holders(self._store)
        return start

    robbed = 0


def end_lock_holders(store: Store) -> int:
    """End the connections that hold advisory locks, as `idle_session_timeout` does."""
    ended = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    with store.engine.connect() as connection:
        return int(connection.scalar(text(ended)) or 0)


def test_a_lock_that_the_server_took_back_claims_nothing(
    postgres_url: str, study: ParseStudy
) -> None:
    spec = study("budget: {trials: 2}\n")
    with Store.open(postgres_url) as store:
        run_id = register_study(store, spec)
        _, optuna_study = open_claims(store, spec, run_id)
        events: list[Event] = []
        claims = Robbed(store, optuna_study, spec, run_id=run_id, observe=events.append)
        claim = take(claims)
        assert claims.robbed == 1
        assert [type(event) for event in events] == [StoreSilent, StoreAnswers]
        assert claim.number == 0 and states(optuna_study).count(TrialState.RUNNING) == 1
        assert [row.state for row in store.outcomes(spec.name)] == ["running"]
        claims.end(claim, pruned(0))


def test_the_plan_is_made_once_in_the_life_of_a_study(store: Store, six: StudySpec) -> None:
    run_id = register_study(store, six)
    _, study = open_claims(store, six, run_id)
    planned = len(states(study))
    open_claims(store, six, begin_run(store, six))
    assert len(states(study)) == planned == 4


def test_a_trial_handed_back_keeps_its_number_parameters_and_reports(
    store: Store, six: StudySpec
) -> None:
    claims, study = open_claims(store, six, register_study(store, six))
    first = take(claims)
    first.trial.report(0.25, 0)
    claims.hand_back(first)
    assert store.trials(six.name)[0].state == "waiting"
    again = take(claims)
    assert (again.number, again.params) == (first.number, first.params)
    assert (first.reported, again.reported) == (0, 1)
    assert study.get_trials()[again.number].intermediate_values == {0: 0.25}


def test_a_trial_whose_process_died_is_handed_out_again(store: Store, six: StudySpec) -> None:
    claims, study = open_claims(store, six, register_study(store, six))
    lost = take(claims)
    # The process that took it is gone: no such pid with that start.
    lost.trial.set_user_attr(OWNER, {**lost.trial.user_attrs[OWNER], "created": 1.0})
    again = take(claims)
    assert (again.number, again.params) == (lost.number, lost.params)
    assert TrialState.RUNNING in states(study)


def die_over(claim: Claim) -> None:
    """The process that took it is gone: no such pid with that start."""
    claim.trial.set_user_attr(OWNER, {**claim.trial.user_attrs[OWNER], "created": 1.0})


def test_a_trial_that_kills_its_workers_fails_and_the_study_goes_on(
    store: Store, six: StudySpec
) -> None:
    said: list[Event] = []
    claims, study = open_claims(store, six, register_study(store, six), observe=said.append)
    for _ in range(MOST_DEATHS):
        poison = take(claims)
        assert poison.number == 0
        die_over(poison)
    assert take(claims).number == 1
    row = store.trials(six.name)[0]
    assert (row.state, row.failure_cause) == ("failed", "worker_killed")
    assert f"{row.backbone}: 3 workers in a row died over it" in str(row.failure_message)
    assert states(study)[0] == TrialState.FAIL
    assert [event.number for event in said if isinstance(event, TrialNote)] == [0]


def test_deaths_between_finished_epochs_fail_no_trial(store: Store, six: StudySpec) -> None:
    claims, _ = open_claims(store, six, register_study(store, six))
    for epoch in range(1, 2 * MOST_DEATHS):
        unlucky = take(claims)
        unlucky.reports.add(epoch, 0.5)
        die_over(unlucky)
    assert take(claims).number == 0


def test_epochs_of_a_trial_that_kills_its_workers_stay_counted(
    store: Store, six: StudySpec
) -> None:
    claims, _ = open_claims(store, six, register_study(store, six))
    first = take(claims)
    first.reports.add(1, 0.25)
    die_over(first)
    for _ in range(MOST_DEATHS - 1):
        die_over(take(claims))
    assert take(claims).number == 1
    assert store.outcomes(six.name)[0].epochs == 1
    assert [record.score for number, record in store.epochs(six.name) if number == 0] == [0.25]


def test_a_death_counts_once_though_the_process_that_saw_it_died_too(
    store: Store, six: StudySpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims, _ = open_claims(store, six, register_study(store, six))
    die_over(take(claims))
    with monkeypatch.context() as crash:
        crash.setattr(Store, "release_trial", _crash)
        for _ in range(MOST_DEATHS):
            with pytest.raises(KeyboardInterrupt):
                claims.take()
    assert take(claims).number == 0


def _crash(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_trials_that_are_handed_back_never_count_as_deaths(store: Store, six: StudySpec) -> None:
    claims, _ = open_claims(store, six, register_study(store, six))
    for _ in range(2 * MOST_DEATHS):
        claims.hand_back(take(claims))
    assert take(claims).number == 0


def test_a_trial_of_a_run_that_ended_is_handed_out_again_though_its_process_lives(
    store: Store, six: StudySpec
) -> None:
    run_id = register_study(store, six)
    lost = take(open_claims(store, six, run_id)[0])
    store.end_run(run_id, status="interrupted")
    claims, _ = open_claims(store, six, begin_run(store, six))
    assert take(claims).number == lost.number


def test_the_reason_to_stop_names_trials_that_run_elsewhere(
    store: Store, study: ParseStudy
) -> None:
    spec = study("budget: {trials: 1}\n")
    claims, _ = open_claims(store, spec, register_study(store, spec))
    take(claims)
    assert "Still running elsewhere: trial 0 on " in str(claims.take())


@contextmanager
def held_elsewhere(claim: Claim) -> Iterator[subprocess.Popen[bytes]]:
    """Another process of this host as the owner of the trial."""
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
    try:
        owner = {**claim.trial.user_attrs[OWNER], **process_named(other.pid)}
        claim.trial.set_user_attr(OWNER, owner)
        yield other
    finally:
        other.kill()
        other.wait()


def test_a_worker_waits_for_the_last_trials_of_others_and_takes_what_they_lose(
    store: Store, study: ParseStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = study("budget: {trials: 1}\n")
    claims, _ = open_claims(store, spec, register_study(store, spec))
    lost = take(claims)
    with held_elsewhere(lost) as other:

        def other_dies(seconds: float) -> None:
            other.kill()
            other.wait()

        monkeypatch.setattr(time, "sleep", other_dies)
        again = claims.take_or_wait()
    assert isinstance(again, Claim) and (again.number, again.params) == (lost.number, lost.params)


def test_a_worker_ends_when_the_others_have_ended_theirs(
    store: Store, study: ParseStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = study("budget: {trials: 1}\n")
    claims, _ = open_claims(store, spec, register_study(store, spec))
    last = take(claims)
    polls = []

    def other_ends(seconds: float) -> None:
        polls.append(seconds)
        claims.end(last, pruned(last.number))

    with held_elsewhere(last):
        monkeypatch.setattr(time, "sleep", other_ends)
        assert claims.take_or_wait() == "1 trials"
    assert len(polls) == 1


def test_nobody_waits_when_nothing_can_come_back(
    store: Store, study: ParseStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = study("budget: {trials: 3, failures: 1}\n")
    claims, _ = open_claims(store, spec, register_study(store, spec))
    fails, _on_this_host = take(claims), take(claims)
    end = dataclasses.replace(pruned(fails.number), state="failed", failure_cause="bug")
    claims.end(fails, end)
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("it waits"))
    reason = claims.take_or_wait()
    assert isinstance(reason, str) and reason.startswith("1 failures in a row")


def test_a_worker_process_keeps_its_trial_until_it_ends_though_its_run_is_over(
    store: Store, six: StudySpec
) -> None:
    run_id = register_study(store, six)
    held = take(open_claims(store, six, run_id)[0])
    with held_elsewhere(held) as worker:  # of a run that this process began
        store.end_run(run_id, status="interrupted")
        claims, _ = open_claims(store, six, begin_run(store, six))
        assert take(claims).number != held.number
        worker.kill()
        worker.wait()
        assert take(claims).number == held.number


def test_the_time_of_a_study_includes_runs_that_go_on(store: Store, six: StudySpec) -> None:
    run_id = register_study(store, six)
    claims, _ = open_claims(store, six, run_id)
    first = claims.seconds()
    time.sleep(0.05)
    assert claims.seconds() >= first + 0.05
    late, _ = open_claims(store, six, begin_run(store, six))
    store.end_run(run_id, status="complete")
    assert late.seconds() >= first + 0.05


def test_a_trial_of_a_living_process_is_left_alone(store: Store, six: StudySpec) -> None:
    claims, _ = open_claims(store, six, register_study(store, six))
    assert take(claims).number != take(claims).number


def test_a_trial_lost_between_ask_and_claim_is_handed_out_again(
    store: Store, six: StudySpec
) -> None:
    claims, study = open_claims(store, six, register_study(store, six))
    orphan = study.ask()
    assert take(claims).number == orphan.number


def test_a_trial_that_only_our_row_saw_end_is_ended_in_optuna_too(
    store: Store, six: StudySpec
) -> None:
    claims, study = open_claims(store, six, register_study(store, six))
    claim = take(claims)
    claim.trial.report(0.5, 0)
    store.finish_trial(six.name, pruned(claim.number))  # and the process died before telling Optuna
    take(claims)
    assert study.get_trials()[claim.number].state == TrialState.PRUNED


def test_an_interrupted_search_proposes_what_the_uninterrupted_one_does(
    store: Store, study: ParseStudy
) -> None:
    proposals = []
    for name, break_after in (("whole", 99), ("broken", 6)):
        spec = study("budget: {trials: 9}\n").model_copy(update={"name": name})
        claims, _ = open_claims(store, spec, register_study(store, spec))
        found = []
        for number in range(9):
            if number == break_after:
                claims.hand_back(take(claims))
                claims, _ = open_claims(store, spec, begin_run(store, spec))
            claim = take(claims)
            found.append(claim.params)
            claim.trial.report(float(claim.params["lr"]), 0)
            claims.end(claim, pruned(claim.number, float(claim.params["lr"])))
        proposals.append(found)
    assert proposals[0] == proposals[1]


@contextmanager
def started(processes: list[multiprocessing.Process]) -> Iterator[None]:
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.join(timeout=120)
            if process.is_alive():
                process.kill()


def _take_all(url: str, spec: StudySpec, run_id: int, taken: multiprocessing.Queue[int]) -> None:
    with Store.open(url) as store:
        claims, _ = open_claims(store, spec, run_id)
        while isinstance(claim := claims.take(), Claim):
            taken.put(claim.number)
            claims.end(claim, pruned(claim.number))


def test_workers_started_together_never_share_a_trial_nor_exceed_the_budget(
    store: Store, store_url: str, study: ParseStudy
) -> None:
    spec = study("budget: {trials: 12}\n")
    run_id = register_study(store, spec)
    context = multiprocessing.get_context("spawn")
    taken: multiprocessing.Queue[int] = context.Queue()
    workers = [
        context.Process(target=_take_all, args=(store_url, spec, run_id, taken)) for _ in range(3)
    ]
    with started(workers):
        numbers = [taken.get(timeout=120) for _ in range(12)]
    assert Counter(numbers) == Counter(range(12))
    assert [worker.exitcode for worker in workers] == [0, 0, 0]


FAR = ProcessName(host="far", pid=7, created=1000.0)


def give_to(claim: Claim, process: ProcessName) -> None:
    """Have another machine's process hold the trial."""
    owner = {**claim.trial.user_attrs[OWNER], **dataclasses.asdict(process)}
    claim.trial.set_user_attr(OWNER, owner)


def test_what_a_lost_process_held_is_handed_out_again_before_its_lease_is_over(
    store: Store, six: StudySpec
) -> None:
    claims, study = open_claims(store, six, register_study(store, six))
    far, other = take(claims), take(claims)
    give_to(far, FAR)

    claims.take_from(FAR)

    assert states(study)[far.number] == TrialState.WAITING
    assert states(study)[other.number] == TrialState.RUNNING
    again = take(claims)
    assert (again.number, again.params) == (far.number, far.params)


def test_a_process_that_was_only_cut_off_can_write_nothing_afterwards(
    store: Store, six: StudySpec
) -> None:
    claims, study = open_claims(store, six, register_study(store, six))
    far = take(claims)
    give_to(far, FAR)
    claims.take_from(FAR)

    with pytest.raises(TrialLostError):
        claims.end(far, pruned(far.number))
    assert states(study)[far.number] == TrialState.WAITING
    with pytest.raises(TrialLostError):
        claims.end(far, pruned(take(claims).number))


def test_another_process_under_the_same_number_keeps_its_trial(
    store: Store, six: StudySpec
) -> None:
    claims, study = open_claims(store, six, register_study(store, six))
    held = take(claims)
    earlier = dataclasses.replace(processes.named(), created=1.0)

    claims.take_from(earlier)

    assert states(study)[held.number] == TrialState.RUNNING


def test_a_trial_that_ended_before_its_process_was_lost_stays_ended(
    store: Store, six: StudySpec
) -> None:
    claims, study = open_claims(store, six, register_study(store, six))
    ended = take(claims)
    give_to(ended, FAR)
    # Its row was written, Optuna was not told: the process was lost in between.
    store.finish_trial(six.name, pruned(ended.number), lease=ended.heartbeat.lease)

    claims.take_from(FAR)

    assert store.trials(six.name)[ended.number].state == "pruned"
    assert take(claims).number != ended.number
    assert states(study)[ended.number] == TrialState.PRUNED
