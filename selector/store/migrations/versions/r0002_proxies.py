"""What the features of each backbone were worth before the first trial."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.create_table(
        "selector_proxies",
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("backbone", sa.Text(), nullable=False),
        sa.Column("image_size", sa.Integer(), nullable=False),
        sa.Column("knn", sa.Double(), nullable=False),
        sa.Column("probe", sa.Double(), nullable=False),
        sa.Column("parameters", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"],
            ["selector_studies.id"],
            name=op.f("fk_selector_proxies_study_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("study_id", "backbone", name=op.f("pk_selector_proxies")),
    )


def downgrade() -> None:
    """Undo this revision."""
    op.drop_table("selector_proxies")
