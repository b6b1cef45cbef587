"""Champions with their history, editions of a study, and what studies took over from others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_OF_STUDY = "selector_studies.id"


def upgrade() -> None:
    """Apply this revision."""
    _champions()
    _renewals()
    _history()


def _champions() -> None:
    op.create_table(
        "selector_champions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("study", sa.Text(), nullable=False),
        sa.Column("trial", sa.Integer(), nullable=False),
        sa.Column("bundle", sa.String(400), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("trained_on", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_selector_champions")),
        sa.UniqueConstraint("name", "bundle", name=op.f("uq_selector_champions_name_bundle")),
    )
    op.create_table(
        "selector_promotions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("study", sa.Text(), nullable=False),
        sa.Column("trial", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("champion_id", sa.Integer(), nullable=False),
        sa.Column("previous_id", sa.Integer(), nullable=True),
        sa.Column("challenge", sa.JSON(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "action IN ('first', 'swap', 'kept', 'undecided', 'by_hand', 'rollback')",
            name=op.f("ck_selector_promotions_action"),
        ),
        sa.ForeignKeyConstraint(
            ["champion_id"],
            ["selector_champions.id"],
            name=op.f("fk_selector_promotions_champion_id"),
        ),
        sa.ForeignKeyConstraint(
            ["previous_id"],
            ["selector_champions.id"],
            name=op.f("fk_selector_promotions_previous_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_selector_promotions")),
        sa.UniqueConstraint("name", "number", name=op.f("uq_selector_promotions_name_number")),
    )


def _renewals() -> None:
    op.create_table(
        "selector_editions",
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("study", sa.String(220), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", "number", name=op.f("pk_selector_editions")),
        sa.UniqueConstraint("study", name=op.f("uq_selector_editions_study")),
    )
    op.create_table(
        "selector_champion_predictions",
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("champion_id", sa.Integer(), nullable=False),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.Column("classes", sa.Integer(), nullable=False),
        sa.Column("log_probabilities", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"],
            [_OF_STUDY],
            name=op.f("fk_selector_champion_predictions_study_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["champion_id"],
            ["selector_champions.id"],
            name=op.f("fk_selector_champion_predictions_champion_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "study_id", "champion_id", name=op.f("pk_selector_champion_predictions")
        ),
    )
    op.create_table(
        "selector_renewals",
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("token", sa.String(32), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.Column("holder", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_selector_renewals")),
    )


def _history() -> None:
    op.create_table(
        "selector_reused",
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("study", sa.Text(), nullable=False),
        sa.Column("trial", sa.Integer(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("distance", sa.Double(), nullable=True),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"],
            [_OF_STUDY],
            name=op.f("fk_selector_reused_study_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("study_id", "position", name=op.f("pk_selector_reused")),
    )
    op.create_table(
        "selector_image_statistics",
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("statistics", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"],
            [_OF_STUDY],
            name=op.f("fk_selector_image_statistics_study_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("study_id", name=op.f("pk_selector_image_statistics")),
    )


def downgrade() -> None:
    """Undo this revision."""
    for table in (
        "selector_image_statistics",
        "selector_reused",
        "selector_renewals",
        "selector_champion_predictions",
        "selector_editions",
        "selector_promotions",
        "selector_champions",
    ):
        op.drop_table(table)
