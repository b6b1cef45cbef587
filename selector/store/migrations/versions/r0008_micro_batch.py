"""How many samples went through a network at once, where memory had no room for a whole batch."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    # Plainly: a batch would drop and remake the table, and take all that hangs on it along.
    op.add_column("selector_trials", sa.Column("micro_batch", sa.Integer(), nullable=True))
    op.add_column(
        "selector_trials",
        sa.Column("norm_by_micro_batch", sa.Boolean(), nullable=False, server_default=sa.false()),
    )


def downgrade() -> None:
    """Undo this revision."""
    op.drop_column("selector_trials", "norm_by_micro_batch")
    op.drop_column("selector_trials", "micro_batch")
