"""The tables of the store, all named `selector_...` so that they can share Optuna's database."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

PREFIX = "selector_"
# The largest finite double: beyond it lie the infinities, and PostgreSQL sorts NaN above them.
LARGEST = "1.7976931348623157e308"


class UtcDateTime(TypeDecorator[dt.datetime]):
    """An instant, always in UTC; SQLite keeps no time zone, so it is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, _dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"A stored time needs a time zone: {value!r}")
        return value.astimezone(dt.UTC)

    def process_result_value(self, value: Any, _dialect: Dialect) -> dt.datetime | None:
        if value is None:
            return None
        aware = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
        return aware.astimezone(dt.UTC)  # type: ignore[no-any-return]


class Table(DeclarativeBase):
    """Base of all tables, with names for constraints that are alike on every database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - read by SQLAlchemy once, on class creation
        dict[str, Any]: JSON(),
        list[int]: JSON(),
        dt.datetime: UtcDateTime(),
        bytes: LargeBinary(),
        str: Text(),
    }


# A row that goes when its study goes, or its trial.
OfStudy = Annotated[int, mapped_column(ForeignKey("selector_studies.id", ondelete="CASCADE"))]
OfTrial = Annotated[int, mapped_column(ForeignKey("selector_trials.id", ondelete="CASCADE"))]


class StudyTable(Table):
    """One study: what is searched, on which data."""

    __tablename__ = "selector_studies"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    metric: Mapped[str]
    goal: Mapped[str] = mapped_column(String(8))
    spec: Mapped[dict[str, Any]]
    spec_sha256: Mapped[str] = mapped_column(String(64))
    fingerprint: Mapped[str]
    data: Mapped[dict[str, Any]]  # class names and counts
    validation: Mapped[bytes]  # its ids and labels, and the audit: compressed JSON
    version: Mapped[int] = mapped_column(server_default="1")  # of its search space
    created_at: Mapped[dt.datetime]


class RunTable(Table):
    """One invocation of `selector run`."""

    __tablename__ = "selector_runs"
    __table_args__ = (
        CheckConstraint(
            "status IN ('running', 'complete', 'interrupted', 'failed')", name="status"
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[OfStudy] = mapped_column(index=True)
    status: Mapped[str] = mapped_column(String(16))
    command: Mapped[str]
    spec: Mapped[dict[str, Any]]
    fingerprint: Mapped[str]
    environment: Mapped[dict[str, Any]]
    host: Mapped[str]
    pid: Mapped[int]
    started_at: Mapped[dt.datetime]
    ended_at: Mapped[dt.datetime | None]
    cause: Mapped[str | None] = mapped_column(String(16))  # of an end before the budget's
    message: Mapped[str | None] = mapped_column(Text)
    at_trial: Mapped[int | None]
    at_epoch: Mapped[int | None]


class ProxyTable(Table):
    """What the features of one backbone of a study were worth before the first trial."""

    __tablename__ = "selector_proxies"

    study_id: Mapped[OfStudy] = mapped_column(primary_key=True)
    backbone: Mapped[str] = mapped_column(primary_key=True)
    image_size: Mapped[int]
    knn: Mapped[float]
    probe: Mapped[float]
    parameters: Mapped[int] = mapped_column(BigInteger)
    seconds: Mapped[float]


class CostTable(Table):
    """What one backbone of a study costs at one image size, measured before the first trial."""

    __tablename__ = "selector_costs"

    study_id: Mapped[OfStudy] = mapped_column(primary_key=True)
    backbone: Mapped[str] = mapped_column(primary_key=True)
    image_size: Mapped[int] = mapped_column(primary_key=True)
    parameters: Mapped[int] = mapped_column(BigInteger)
    size_mb: Mapped[float]
    latency_ms: Mapped[float | None]
    device: Mapped[str]
    threads: Mapped[int]


class TrialTable(Table):
    """One trial, under the number that Optuna gave it."""

    __tablename__ = "selector_trials"
    __table_args__ = (
        UniqueConstraint("study_id", "number"),
        CheckConstraint(
            "state IN ('running', 'complete', 'pruned', 'failed', 'waiting')", name="state"
        ),
        CheckConstraint(
            f"score IS NULL OR (score >= -{LARGEST} AND score <= {LARGEST})", name="score_finite"
        ),
        CheckConstraint("state <> 'complete' OR score IS NOT NULL", name="complete_has_score"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[OfStudy]
    run_id: Mapped[int | None] = mapped_column(
        ForeignKey("selector_runs.id", ondelete="SET NULL"), index=True
    )
    number: Mapped[int]
    state: Mapped[str] = mapped_column(String(16))
    backbone: Mapped[str]
    params: Mapped[dict[str, Any]]
    origin: Mapped[str] = mapped_column(String(16))
    seed: Mapped[int] = mapped_column(BigInteger)
    score: Mapped[float | None]
    best_epoch: Mapped[int | None]
    epochs: Mapped[int] = mapped_column(default=0)
    seconds: Mapped[float | None]
    failure_cause: Mapped[str | None]
    failure_message: Mapped[str | None]
    parameters: Mapped[int | None] = mapped_column(BigInteger)
    trained_parameters: Mapped[int | None] = mapped_column(BigInteger)
    latency_ms: Mapped[float | None]
    retry_of: Mapped[int | None]  # the number of the failed trial whose parameters these are
    retried: Mapped[bool] = mapped_column(default=False, server_default=false())
    micro_batch: Mapped[int | None]  # samples at once, where memory had no room for a batch
    norm_by_micro_batch: Mapped[bool] = mapped_column(default=False, server_default=false())
    started_at: Mapped[dt.datetime | None]
    ended_at: Mapped[dt.datetime | None]
    lease_token: Mapped[str | None] = mapped_column(String(32))
    lease_until: Mapped[float | None] = mapped_column(Double)  # see leases.py for the clock


class FinalsTable(Table):
    """Which study holds the finals of another one, and the pick that they ended with."""

    __tablename__ = "selector_finals"

    study_id: Mapped[OfStudy] = mapped_column(primary_key=True)
    parent_id: Mapped[OfStudy] = mapped_column(unique=True)
    fold_sizes: Mapped[list[int]]
    pick: Mapped[int | None]
    reason: Mapped[str | None]
    decided_at: Mapped[dt.datetime | None]


class HeatTable(Table):
    """Which trial of the search a trial of the finals repeats, and on which fold."""

    __tablename__ = "selector_heats"

    trial_id: Mapped[OfTrial] = mapped_column(primary_key=True)
    finalist: Mapped[int]
    fold: Mapped[int]


class OpeningTable(Table):
    """One look at the test split of a study; it stays when the study is deleted."""

    __tablename__ = "selector_openings"

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int | None] = mapped_column(
        ForeignKey("selector_studies.id", ondelete="SET NULL"), index=True
    )
    study: Mapped[str] = mapped_column(String(200))  # its name, also when it is gone
    splits: Mapped[str] = mapped_column(String(64), index=True)  # whose test split it was
    trial: Mapped[int]
    who: Mapped[str]
    why: Mapped[str]
    fingerprint: Mapped[str]
    samples: Mapped[int]
    no_reference: Mapped[str | None]  # why none was scored beside the pick
    opened_at: Mapped[dt.datetime]


class OpenedScoreTable(Table):
    """What one network scored on the test split in one opening."""

    __tablename__ = "selector_test_scores"

    opening_id: Mapped[int] = mapped_column(
        ForeignKey("selector_openings.id", ondelete="CASCADE"), primary_key=True
    )
    role: Mapped[str] = mapped_column(String(16), primary_key=True)
    trial: Mapped[int]
    validation_score: Mapped[float]
    test_score: Mapped[float]
    ci_low: Mapped[float]
    ci_high: Mapped[float]
    metrics: Mapped[dict[str, Any]]


class EpochTable(Table):
    """One epoch of one trial; a number that was not finite is NULL."""

    __tablename__ = "selector_epochs"

    trial_id: Mapped[OfTrial] = mapped_column(primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)
    train_loss: Mapped[float | None]
    validation_loss: Mapped[float | None]
    score: Mapped[float | None]
    lr: Mapped[float | None]
    seconds: Mapped[float | None]


class MetricTable(Table):
    """One metric of one candidate; NULL where it does not exist, as AUROC of a single class."""

    __tablename__ = "selector_metrics"

    trial_id: Mapped[OfTrial] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[float | None]


class ClassScoreTable(Table):
    """One class of one candidate, in the order of the study's classes."""

    __tablename__ = "selector_class_scores"

    trial_id: Mapped[OfTrial] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    precision: Mapped[float]
    recall: Mapped[float]
    f1: Mapped[float]
    support: Mapped[int]


class Predictions:
    """Columns of log-probabilities (samples, classes): little-endian float32, compressed."""

    samples: Mapped[int]
    classes: Mapped[int]
    log_probabilities: Mapped[bytes]


class PredictionTable(Predictions, Table):
    """What one candidate said of the validation images."""

    __tablename__ = "selector_predictions"

    trial_id: Mapped[OfTrial] = mapped_column(primary_key=True)


class ArtifactTable(Table):
    """A file that belongs to a trial, by its name below the artifacts folder."""

    __tablename__ = "selector_artifacts"
    __table_args__ = (UniqueConstraint("trial_id", "kind"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    trial_id: Mapped[OfTrial]
    kind: Mapped[str] = mapped_column(String(32))
    file: Mapped[str]
    sha256: Mapped[str | None] = mapped_column(String(64))
    bytes: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[dt.datetime]
