"""Why a run ended before its budget, and at which trial."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_COLUMNS: dict[str, sa.types.TypeEngine[Any]] = {
    "cause": sa.String(16),
    "message": sa.Text(),
    "at_trial": sa.Integer(),
    "at_epoch": sa.Integer(),
}


def upgrade() -> None:
    """Apply this revision."""
    for name, kind in _COLUMNS.items():
        op.add_column("selector_runs", sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    """Undo this revision."""
    for name in reversed(_COLUMNS):
        op.drop_column("selector_runs", name)
