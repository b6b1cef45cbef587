"""What every writer promises, read back with the readers of the tools it writes for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from selector import writers
from selector.errors import InputError, ProblemsError
from selector.events import EpochEnded, Event, RunEnded, TrialEnded, TrialStarted, WriterFailed
from selector.records import Heat, StudyRow, TrialCounts
from selector.spec.schema import MemberSpec
from tests.conftest import Results


@dataclass
class Found:
    """What a reader finds of one trial."""

    params: dict[str, str] = field(default_factory=dict)
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    final: dict[str, float] = field(default_factory=dict)
    state: str = ""


def read_tensorboard(folder: Path) -> dict[str, Found]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import plugin_data_pb2

    trials = {}
    for home in sorted(folder.glob("_tensorboard/flowers.*/*")):
        data = EventAccumulator(str(home), size_guidance={"scalars": 0, "tensors": 0})
        data.Reload()
        found = trials[home.name] = Found()
        for tag in data.Tags()["scalars"]:
            points = [(event.step, event.value) for event in data.Scalars(tag)]
            if tag.startswith("final/"):
                found.final[tag.removeprefix("final/")] = points[-1][1]
            else:
                found.curves[tag.removeprefix("epoch/")] = points
        for tag in data.Tags()["tensors"]:
            (event,) = data.Tensors(tag)
            text = event.tensor_proto.string_val[0].decode()
            if tag.startswith("params"):
                found.params = {k: str(v) for k, v in json.loads(text.strip("`\n")).items()}
            if tag.startswith("state"):
                found.state = text
        if plugin := data.summary_metadata.get("_hparams_/session_start_info"):
            content = plugin_data_pb2.HParamsPluginData.FromString(plugin.plugin_data.content)
            assert set(content.session_start_info.hparams) == set(found.params)
    return trials


def read_mlflow(folder: Path) -> dict[str, Found]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{folder / '_mlflow/mlflow.db'}")
    experiment = client.get_experiment_by_name("flowers")
    assert experiment is not None
    trials = {}
    for run in client.search_runs([experiment.experiment_id]):
        found = trials[str(run.info.run_name)] = Found(params=dict(run.data.params))
        for name, value in run.data.metrics.items():
            kind, _, short = name.partition("/")
            if kind == "final":
                found.final[short] = value
            else:
                history = client.get_metric_history(run.info.run_id, name)
                found.curves[short] = sorted((m.step, m.value) for m in history)
        found.state = run.data.tags.get("selector.state", "")
        assert (run.info.status == "RUNNING") == (found.state == "")
    return trials


READERS: Mapping[str, Callable[[Path], dict[str, Found]]] = {
    "tensorboard": read_tensorboard,
    "mlflow": read_mlflow,
}


class Watched:
    """An observer that keeps what it hears."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)


def started(number: int, heat: Heat | None = None) -> TrialStarted:
    params = {"backbone": "toy:cnn", "lr": 0.001 * (number + 1), "freeze_depth": 2}
    return TrialStarted(
        number=number, backbone="toy:cnn", params=params, origin="sampler", heat=heat
    )


def epoch(number: int, epoch: int, score: float) -> EpochEnded:
    return EpochEnded(
        number=number,
        epoch=epoch,
        epochs=3,
        score=score,
        best_score=score,
        seconds=0.5,
        train_loss=float("nan") if epoch == 2 else 1 / epoch,
        validation_loss=None,
        lr=0.01,
    )


def ended(number: int, state: str, heat: Heat | None = None) -> TrialEnded:
    complete = state == "complete"
    return TrialEnded(
        number=number,
        backbone="toy:cnn",
        state=state,  # type: ignore[arg-type]
        score=0.75 if complete else None,
        best_epoch=1,
        epochs=2,
        seconds=1.0,
        failure=None,
        counts=TrialCounts(),
        best_score=0.75,
        best_trial=0,
        heat=heat,
        metrics={"f1_macro": 0.75, "auroc": None} if complete else {},
    )


@pytest.fixture(params=writers.NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def study(results: Results) -> StudyRow:
    return results.study()


def write(name: str, study: StudyRow, folder: Path, *events: Event) -> Watched:
    """One run in which these events happened."""
    watched = Watched()
    with writers.writing(
        [MemberSpec(name=name)], study, folder=folder, base=folder, observe=watched
    ) as observe:
        for event in events:
            observe(event)
    assert watched.events == list(events), watched.events
    return watched


def test_parameters_curves_and_metrics_are_read_back(
    name: str, study: StudyRow, tmp_path: Path
) -> None:
    heat = Heat(finalist=0, seed=4, fold=0)
    write(
        name,
        study,
        tmp_path,
        started(0),
        started(1),  # two workers at once
        epoch(0, 1, 0.25),
        epoch(1, 1, 0.125),
        epoch(0, 2, 0.75),
        ended(1, "pruned"),
        ended(0, "complete"),
        started(0, heat),  # the finals count their trials from 0 again
        epoch(0, 1, 0.5),
        ended(0, "complete", heat),
        RunEnded(reason="2 trials", seconds=1.0),
    )
    found = READERS[name](tmp_path)
    assert sorted(found) == ["final-0000", "trial-0000", "trial-0001"]
    first = found["trial-0000"]
    assert first.params == {"backbone": "toy:cnn", "lr": "0.001", "freeze_depth": "2"}
    assert first.curves["score"] == [(1, 0.25), (2, 0.75)]
    assert first.curves["train_loss"] == [(1, 1.0)]  # the second was no number
    assert "validation_loss" not in first.curves
    assert first.final == {"f1_macro": 0.75}
    assert (first.state, found["trial-0001"].state) == ("complete", "pruned")
    assert found["trial-0001"].curves["score"] == [(1, 0.125)]
    assert found["final-0000"].params["seed"] == "4"


def test_a_trial_that_goes_on_writes_no_epoch_twice(
    name: str, study: StudyRow, tmp_path: Path
) -> None:
    write(name, study, tmp_path, started(0), epoch(0, 1, 0.25), epoch(0, 2, 0.5))
    # Stopped in the third epoch; what was kept of it was of the first.
    write(
        name,
        study,
        tmp_path,
        started(0),
        epoch(0, 2, 0.5),
        epoch(0, 3, 0.75),
        ended(0, "complete"),
    )
    (found,) = READERS[name](tmp_path).values()
    assert found.curves["score"] == [(1, 0.25), (2, 0.5), (3, 0.75)]
    assert found.curves["lr"] == [(n, pytest.approx(0.01)) for n in (1, 2, 3)]
    assert found.params["lr"] == "0.001"
    assert found.state == "complete"


def test_a_study_of_the_same_name_gets_its_own_trials(
    name: str, study: StudyRow, results: Results, tmp_path: Path
) -> None:
    import datetime as dt
    from dataclasses import replace

    later = replace(study, created_at=study.created_at + dt.timedelta(days=1))
    for each, score in ((study, 0.25), (later, 0.5)):
        write(name, each, tmp_path, started(0), epoch(0, 1, score), ended(0, "complete"))
    if name == "tensorboard":
        assert len(list(tmp_path.glob("_tensorboard/flowers.*"))) == 2
    else:
        from mlflow.tracking import MlflowClient

        client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / '_mlflow/mlflow.db'}")
        experiment = client.get_experiment_by_name("flowers")
        assert experiment is not None
        runs = client.search_runs([experiment.experiment_id])
        assert sorted(run.data.metrics["epoch/score"] for run in runs) == [0.25, 0.5]


def test_a_writer_that_fails_says_so_once_and_the_run_goes_on(
    name: str, study: StudyRow, tmp_path: Path
) -> None:
    (tmp_path / "_tensorboard").write_text("in the way")
    (tmp_path / "_mlflow").write_text("in the way")
    watched = Watched()
    with writers.writing(
        [MemberSpec(name=name)], study, folder=tmp_path, base=tmp_path, observe=watched
    ) as observe:
        for event in (started(0), epoch(0, 1, 0.25), ended(0, "complete"), started(1)):
            observe(event)
    failures = [event for event in watched.events if isinstance(event, WriterFailed)]
    assert len(failures) == 1
    assert failures[0].writer == name
    assert failures[0].reason and "\n" not in failures[0].reason
    assert len(watched.events) == 5


def test_a_folder_of_its_own_is_relative_to_the_study_file(study: StudyRow, tmp_path: Path) -> None:
    member = MemberSpec(name="tensorboard", options={"folder": "curves"})
    with writers.writing(
        [member], study, folder=tmp_path / "artifacts", base=tmp_path, observe=Watched()
    ) as observe:
        observe(started(0))
    assert len(list(tmp_path.glob("curves/flowers.*/trial-0000/events*"))) == 1


def test_unknown_options_are_named_before_a_trial_is_spent(name: str) -> None:
    with pytest.raises(InputError, match=f"Writer '{name}' has no option 'colour'"):
        writers.check([MemberSpec(name=name, options={"colour": "red"})])
    writers.check([MemberSpec(name=name)])


def test_no_password_of_a_server_is_in_the_line(
    study: StudyRow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nobody-knows://ann:secret@host/x")
    watched = Watched()
    with writers.writing(
        [MemberSpec(name="mlflow")], study, folder=tmp_path, base=tmp_path, observe=watched
    ) as observe:
        observe(started(0))
    failed = watched.events[0]
    assert isinstance(failed, WriterFailed)
    assert "nobody-knows" in failed.reason and "secret" not in failed.reason


def test_all_mistakes_are_named_at_once() -> None:
    wrong: list[Any] = [
        MemberSpec(name="tensorbord"),
        MemberSpec(name="mlflow", options={"uri": "http://ann:secret@host"}),
    ]
    with pytest.raises(ProblemsError) as caught:
        writers.check(wrong)
    first, second = caught.value.problems
    assert "Did you mean 'tensorboard'?" in first
    assert "MLFLOW_TRACKING_URI" in second and "secret@" not in second
