"""Studies, runs, trials and what a trial leaves behind."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    _studies()
    _runs()
    _trials()
    _artifacts()
    _class_scores()
    _epochs()
    _metrics()
    _predictions()


def downgrade() -> None:
    """Undo this revision."""
    op.drop_table("selector_predictions")
    op.drop_table("selector_metrics")
    op.drop_table("selector_epochs")
    op.drop_table("selector_class_scores")
    op.drop_table("selector_artifacts")
    op.drop_table("selector_trials")
    op.drop_table("selector_runs")
    op.drop_table("selector_studies")


def _studies() -> None:
    op.create_table(
        "selector_studies",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("goal", sa.String(length=8), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("spec_sha256", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("validation", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_selector_studies")),
        sa.UniqueConstraint("name", name=op.f("uq_selector_studies_name")),
    )


def _runs() -> None:
    op.create_table(
        "selector_runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("environment", sa.JSON(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('running', 'complete', 'interrupted', 'failed')",
            name=op.f("ck_selector_runs_status"),
        ),
        sa.ForeignKeyConstraint(
            ["study_id"],
            ["selector_studies.id"],
            name=op.f("fk_selector_runs_study_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_selector_runs")),
    )
    op.create_index(op.f("ix_selector_runs_study_id"), "selector_runs", ["study_id"])


def _trials() -> None:
    op.create_table(
        "selector_trials",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("backbone", sa.Text(), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("best_epoch", sa.Integer(), nullable=True),
        sa.Column("epochs", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("failure_cause", sa.Text(), nullable=True),
        sa.Column("failure_message", sa.Text(), nullable=True),
        sa.Column("parameters", sa.BigInteger(), nullable=True),
        sa.Column("trained_parameters", sa.BigInteger(), nullable=True),
        sa.Column("latency_ms", sa.Double(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state <> 'complete' OR score IS NOT NULL",
            name=op.f("ck_selector_trials_complete_has_score"),
        ),
        sa.CheckConstraint(
            "state IN ('running', 'complete', 'pruned', 'failed', 'waiting')",
            name=op.f("ck_selector_trials_state"),
        ),
        sa.CheckConstraint(
            "score IS NULL OR "
            "(score >= -1.7976931348623157e308 AND score <= 1.7976931348623157e308)",
            name=op.f("ck_selector_trials_score_finite"),
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["selector_runs.id"],
            name=op.f("fk_selector_trials_run_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["study_id"],
            ["selector_studies.id"],
            name=op.f("fk_selector_trials_study_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_selector_trials")),
        sa.UniqueConstraint("study_id", "number", name=op.f("uq_selector_trials_study_id_number")),
    )
    op.create_index(op.f("ix_selector_trials_run_id"), "selector_trials", ["run_id"])


def _artifacts() -> None:
    op.create_table(
        "selector_artifacts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["trial_id"],
            ["selector_trials.id"],
            name=op.f("fk_selector_artifacts_trial_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_selector_artifacts")),
        sa.UniqueConstraint("trial_id", "kind", name=op.f("uq_selector_artifacts_trial_id_kind")),
    )


def _class_scores() -> None:
    op.create_table(
        "selector_class_scores",
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("precision", sa.Double(), nullable=False),
        sa.Column("recall", sa.Double(), nullable=False),
        sa.Column("f1", sa.Double(), nullable=False),
        sa.Column("support", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["trial_id"],
            ["selector_trials.id"],
            name=op.f("fk_selector_class_scores_trial_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("trial_id", "position", name=op.f("pk_selector_class_scores")),
    )


def _epochs() -> None:
    op.create_table(
        "selector_epochs",
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("train_loss", sa.Double(), nullable=True),
        sa.Column("validation_loss", sa.Double(), nullable=True),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("lr", sa.Double(), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["trial_id"],
            ["selector_trials.id"],
            name=op.f("fk_selector_epochs_trial_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("trial_id", "epoch", name=op.f("pk_selector_epochs")),
    )


def _metrics() -> None:
    op.create_table(
        "selector_metrics",
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["trial_id"],
            ["selector_trials.id"],
            name=op.f("fk_selector_metrics_trial_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("trial_id", "name", name=op.f("pk_selector_metrics")),
    )


def _predictions() -> None:
    op.create_table(
        "selector_predictions",
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.Column("classes", sa.Integer(), nullable=False),
        sa.Column("log_probabilities", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["trial_id"],
            ["selector_trials.id"],
            name=op.f("fk_selector_predictions_trial_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("trial_id", name=op.f("pk_selector_predictions")),
    )
