"""Studies that were asked to stop, and the exports that may be fetched."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.create_table(
        "selector_stops",
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lifted_after", sa.Integer(), nullable=True),
        _of_study("selector_stops"),
        sa.PrimaryKeyConstraint("study_id", name=op.f("pk_selector_stops")),
    )
    op.create_table(
        "selector_bundles",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("trial", sa.Integer(), nullable=False),
        sa.Column("format", sa.String(32), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        _of_study("selector_bundles"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_selector_bundles")),
    )
    op.create_index(op.f("ix_selector_bundles_study_id"), "selector_bundles", ["study_id"])


def downgrade() -> None:
    """Undo this revision."""
    op.drop_table("selector_bundles")
    op.drop_table("selector_stops")


def _of_study(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["study_id"],
        ["selector_studies.id"],
        name=op.f(f"fk_{table}_study_id"),
        ondelete="CASCADE",
    )
