"""The lease of a running trial: whose it is, and until when nobody else may take it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    # Plainly: a batch would drop and remake the table, and take all that hangs on it along.
    op.add_column("selector_trials", sa.Column("lease_token", sa.String(32), nullable=True))
    op.add_column("selector_trials", sa.Column("lease_until", sa.Double(), nullable=True))


def downgrade() -> None:
    """Undo this revision."""
    op.drop_column("selector_trials", "lease_until")
    op.drop_column("selector_trials", "lease_token")
