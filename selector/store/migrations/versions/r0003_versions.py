"""The version of a study's search space: a wider one is a new study to Optuna."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    # Plainly: a batch would drop and remake the table, and take all that hangs on it along.
    op.add_column(
        "selector_studies",
        sa.Column("version", sa.Integer(), nullable=False, server_default="1"),
    )


def downgrade() -> None:
    """Undo this revision."""
    op.drop_column("selector_studies", "version")
