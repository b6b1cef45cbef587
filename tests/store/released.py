"""Rows as each released schema kept them, put in by SQL for that schema and read back."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, Table, inspect, select

from selector.store.encode import pack_floats, pack_validation, splits_hash, summary_to_plain
from selector.store.migrate import alembic_config
from tests.conftest import Results

WHEN = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


def rows(results: Results) -> dict[str, list[dict[str, Any]]]:
    """Rows of every table by its name, with the columns of all schemas; parents come first."""
    study = results.study()
    base = {
        "metric": study.metric,
        "goal": study.goal,
        "spec": dict(study.spec),
        "spec_sha256": study.spec_sha256,
        "fingerprint": study.data.fingerprint,
        "data": summary_to_plain(study.data),
        "validation": pack_validation(study.data),
        "created_at": WHEN,
    }
    trial = {
        "study_id": 1,
        "run_id": 1,
        "backbone": "toy:cnn",
        "params": {"lr": 0.001, "freeze_depth": 2},
        "origin": "sampler",
        "epochs": 1,
        "seconds": 2.5,
        "started_at": WHEN,
    }
    end = {"score": 0.75, "best_epoch": 1, "parameters": 2**33, "ended_at": WHEN}
    fault = {"failure_cause": "oom", "failure_message": "too large"}
    return {
        "selector_studies": [
            {"id": 1, "name": "flowers", "version": 2, **base},
            {"id": 2, "name": "flowers.finals", "version": 1, **base},
        ],
        "selector_runs": [
            {
                "id": 1,
                "study_id": 1,
                "status": "interrupted",
                "command": "selector run flowers.yaml",
                "spec": {"name": "flowers"},
                "fingerprint": "sha256:0123",
                "environment": {"torch": "2.11"},
                "host": "here",
                "pid": 17,
                "started_at": WHEN,
                "ended_at": WHEN,
            }
        ],
        "selector_proxies": [
            {
                "study_id": 1,
                "backbone": "toy:cnn",
                "image_size": 32,
                "knn": 0.5,
                "probe": 0.6,
                "parameters": 2**33,
                "seconds": 1.5,
            }
        ],
        "selector_costs": [
            {
                "study_id": 1,
                "backbone": "toy:cnn",
                "image_size": 32,
                "parameters": 2**33,
                "size_mb": 4.5,
                "latency_ms": None,
                "device": "cpu",
                "threads": 1,
            }
        ],
        "selector_trials": [
            {"id": 1, "number": 0, "state": "complete", "seed": 2**40, **trial, **end},
            {"id": 2, "number": 1, "state": "failed", "seed": 1, "retried": True, **trial, **fault},
            {"id": 3, "number": 2, "state": "waiting", "seed": 2, "retry_of": 1, **trial},
            {
                "id": 4,
                "number": 0,
                "state": "complete",
                "seed": 3,
                **trial,
                **end,
                "study_id": 2,
                "origin": "finals",
            },
        ],
        "selector_finals": [
            {
                "study_id": 2,
                "parent_id": 1,
                "fold_sizes": [60],
                "pick": 0,
                "reason": "ahead",
                "decided_at": WHEN,
            }
        ],
        "selector_heats": [{"trial_id": 4, "finalist": 0, "fold": 0}],
        "selector_openings": [
            {
                "id": 1,
                "study_id": 1,
                "study": "flowers",
                "splits": splits_hash(study.data),
                "trial": 0,
                "who": "ann",
                "why": "to ship",
                "fingerprint": "sha256:0123",
                "samples": 50,
                "opened_at": WHEN,
            }
        ],
        "selector_test_scores": [
            {
                "opening_id": 1,
                "role": "pick",
                "trial": 0,
                "validation_score": 0.75,
                "test_score": 0.7,
                "ci_low": 0.6,
                "ci_high": 0.8,
                "metrics": {"accuracy": 0.7},
            }
        ],
        "selector_epochs": [
            {
                "trial_id": 1,
                "epoch": 1,
                "train_loss": 1.5,
                "validation_loss": None,
                "score": 0.75,
                "lr": 0.001,
                "seconds": 2.5,
            }
        ],
        "selector_metrics": [{"trial_id": 1, "name": "f1_macro", "value": 0.75}],
        "selector_class_scores": [
            {
                "trial_id": 1,
                "position": 0,
                "name": "ant",
                "precision": 0.5,
                "recall": 0.6,
                "f1": 0.55,
                "support": 20,
            }
        ],
        "selector_predictions": [
            {
                "trial_id": 1,
                "samples": 60,
                "classes": 3,
                "log_probabilities": pack_floats(results.log_probabilities(0.8, 1)),
            }
        ],
        "selector_artifacts": [
            {
                "id": 1,
                "trial_id": 1,
                "kind": "checkpoint",
                "file": "flowers/1.safetensors",
                "sha256": "b" * 64,
                "bytes": 2**33,
                "created_at": WHEN,
            }
        ],
    }


def make(engine: Engine, revision: str, results: Results) -> None:
    """A store of that schema, made by the migrations up to it, with rows in all its tables."""
    from alembic import command

    config = alembic_config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    with engine.begin() as connection:
        for name, values in rows(results).items():
            if inspect(connection).has_table(name):
                table = _reflected(connection, name)
                for row in values:
                    known = {key: value for key, value in row.items() if key in table.columns}
                    connection.execute(table.insert().values(known))


def content(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table of ours, by table, as plain values that can be compared."""
    with engine.connect() as connection:
        names = inspect(connection).get_table_names()
        return {
            name: _all(connection, _reflected(connection, name))
            for name in sorted(names)
            if name.startswith("selector_") and "version" not in name
        }


def _all(connection: Connection, table: Table) -> list[dict[str, Any]]:
    found = [dict(row._mapping) for row in connection.execute(select(table))]
    return sorted(found, key=lambda row: json.dumps(row, default=str, sort_keys=True))


def _reflected(connection: Connection, name: str) -> Table:
    return Table(name, MetaData(), autoload_with=connection)
