"""Finals with their pick, and every opening of a test split."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    _finals()
    _heats()
    _openings()
    _test_scores()


def downgrade() -> None:
    """Undo this revision."""
    for table in ("test_scores", "openings", "heats", "finals"):
        op.drop_table(f"selector_{table}")


def _finals() -> None:
    op.create_table(
        "selector_finals",
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("parent_id", sa.Integer(), nullable=False),
        sa.Column("fold_sizes", sa.JSON(), nullable=False),
        sa.Column("pick", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        _below("finals", "study_id", "selector_studies.id"),
        _below("finals", "parent_id", "selector_studies.id"),
        sa.PrimaryKeyConstraint("study_id", name=op.f("pk_selector_finals")),
        sa.UniqueConstraint("parent_id", name=op.f("uq_selector_finals_parent_id")),
    )


def _heats() -> None:
    op.create_table(
        "selector_heats",
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("finalist", sa.Integer(), nullable=False),
        sa.Column("fold", sa.Integer(), nullable=False),
        _below("heats", "trial_id", "selector_trials.id"),
        sa.PrimaryKeyConstraint("trial_id", name=op.f("pk_selector_heats")),
    )


def _openings() -> None:
    op.create_table(
        "selector_openings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("trial", sa.Integer(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        _below("openings", "study_id", "selector_studies.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_selector_openings")),
    )
    op.create_index(op.f("ix_selector_openings_study_id"), "selector_openings", ["study_id"])


def _test_scores() -> None:
    op.create_table(
        "selector_test_scores",
        sa.Column("opening_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("trial", sa.Integer(), nullable=False),
        sa.Column("validation_score", sa.Double(), nullable=False),
        sa.Column("test_score", sa.Double(), nullable=False),
        sa.Column("ci_low", sa.Double(), nullable=False),
        sa.Column("ci_high", sa.Double(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        _below("test_scores", "opening_id", "selector_openings.id"),
        sa.PrimaryKeyConstraint("opening_id", "role", name=op.f("pk_selector_test_scores")),
    )


def _below(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_selector_{table}_{column}")
    return sa.ForeignKeyConstraint([column], [target], name=name, ondelete="CASCADE")
