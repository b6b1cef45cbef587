"""Failed trials that are run again: which ones, and what came of each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    # Plainly: a batch would drop and remake the table, and take all that hangs on it along.
    op.add_column("selector_trials", sa.Column("retry_of", sa.Integer(), nullable=True))
    op.add_column(
        "selector_trials",
        sa.Column("retried", sa.Boolean(), nullable=False, server_default=sa.false()),
    )


def downgrade() -> None:
    """Undo this revision."""
    op.drop_column("selector_trials", "retried")
    op.drop_column("selector_trials", "retry_of")
