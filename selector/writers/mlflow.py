"""MLflow: an experiment a study, a run a trial."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import field_validator

from selector.records import Scalar
from selector.writers.base import Desk, Options, Writer, Written
from selector.writers.options import read_options, require

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

FOLDER = "_mlflow"  # below the artifacts; no study is called so
TRIAL, LINEAGE, STATE = "selector.trial", "selector.lineage", "selector.state"
ENDS = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
# It would report its use to its makers, and try a server that is away for minutes.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


class MLflowOptions(Options):
    """`uri`: the tracking server or database, by default MLFLOW_TRACKING_URI or the artifacts'."""

    uri: str | None = None
    experiment: str | None = None  # by default the study's name

    @field_validator("uri")
    @classmethod
    def _keeps_no_password(cls, uri: str | None) -> str | None:
        if uri is not None and "@" in urlsplit(uri).netloc:
            raise ValueError(
                "it has a user or password in it, and the study file is stored and shown. Set "
                "MLFLOW_TRACKING_URI, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD."
            )
        return uri


class MLflow:
    """Runs on a tracking server, or in a database that `mlflow ui` shows."""

    def check(self, options: Mapping[str, Any]) -> None:
        """Its options are `uri` and `experiment`; it needs mlflow-skinny, or mlflow itself."""
        read_options("mlflow", MLflowOptions, options)
        require("mlflow", extra="mlflow")

    def open(self, desk: Desk, options: Mapping[str, Any]) -> Writer:
        """Writes to the experiment of the study, which is made where it is missing."""
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        from mlflow.tracking import MlflowClient

        logging.getLogger("mlflow").setLevel(logging.WARNING)  # it announces its tables
        read = read_options("mlflow", MLflowOptions, options)
        uri, files = read.uri or os.environ.get("MLFLOW_TRACKING_URI"), None
        if uri is None:
            home = (desk.folder / FOLDER).absolute()
            home.mkdir(parents=True, exist_ok=True)
            uri, files = f"sqlite:///{home / 'mlflow.db'}", (home / "files").as_uri()
        client = MlflowClient(tracking_uri=uri)
        name = read.experiment or desk.study
        found = client.get_experiment_by_name(name)
        key = client.create_experiment(name, files) if found is None else found.experiment_id
        return _Runs(client, str(key), desk)


class _Runs:
    def __init__(self, client: MlflowClient, experiment: str, desk: Desk) -> None:
        self._client = client
        self._experiment = experiment
        self._desk = desk
        self._open: dict[Written, tuple[str, int]] = {}  # its run, and the last epoch there

    def begin(self, trial: Written, params: Mapping[str, Scalar]) -> None:
        found = self._client.search_runs(
            [self._experiment],
            f"tags.`{TRIAL}` = '{trial.name}' and tags.`{LINEAGE}` = '{self._desk.lineage}'",
        )
        if found:
            run = found[0].info.run_id
            self._client.update_run(run, status="RUNNING")
            steps = [metric.step for metric in self._client.get_metric_history(run, "epoch/score")]
            self._open[trial] = run, max(steps, default=0)
            return
        from mlflow.entities import Param

        tags = {TRIAL: trial.name, LINEAGE: self._desk.lineage, "selector.study": self._desk.study}
        created = self._client.create_run(self._experiment, tags=tags, run_name=trial.name)
        run = created.info.run_id
        self._client.log_batch(run, params=[Param(k, str(v)) for k, v in params.items()])
        self._open[trial] = run, 0

    def epoch(self, trial: Written, epoch: int, values: Mapping[str, float]) -> None:
        run, last = self._open[trial]
        if epoch <= last:
            return  # written before the trial was stopped, and trained again since
        self._log(run, {f"epoch/{name}": value for name, value in values.items()}, epoch)
        self._open[trial] = run, epoch

    def end(self, trial: Written, state: str, metrics: Mapping[str, float]) -> None:
        run, last = self._open.pop(trial)
        self._log(run, {f"final/{name}": value for name, value in metrics.items()}, last)
        self._client.set_tag(run, STATE, state)
        self._client.set_terminated(run, ENDS[state])

    def close(self) -> None:
        """Nothing is held back; a trial that was stopped goes on in its run."""

    def _log(self, run: str, values: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        batch = [Metric(name, value, now, step) for name, value in values.items()]
        self._client.log_batch(run, metrics=batch)
