"""Openings of a test split outlive the study that made them: they keep its name and the splits."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_KEY = "fk_selector_openings_study_id"


def upgrade() -> None:
    """Apply this revision."""
    op.add_column("selector_openings", sa.Column("study", sa.String(200), nullable=True))
    op.add_column("selector_openings", sa.Column("splits", sa.String(64), nullable=True))
    if not op.get_context().as_sql:  # a script reads no rows, and stops at NOT NULL where some are
        _fill_in()
    with _scores_aside(), op.batch_alter_table("selector_openings", copy_from=_table()) as batch:
        batch.alter_column("study_id", existing_type=sa.Integer(), nullable=True)
        batch.alter_column("study", existing_type=sa.String(200), nullable=False)
        batch.alter_column("splits", existing_type=sa.String(64), nullable=False)
        batch.drop_constraint(_KEY, type_="foreignkey")
        batch.create_foreign_key(
            _KEY, "selector_studies", ["study_id"], ["id"], ondelete="SET NULL"
        )
    op.create_index("ix_selector_openings_splits", "selector_openings", ["splits"])


def downgrade() -> None:
    """Undo this revision; openings of deleted studies have no place in the schema before it."""
    orphans = "SELECT id FROM selector_openings WHERE study_id IS NULL"
    op.execute(f"DELETE FROM selector_test_scores WHERE opening_id IN ({orphans})")
    op.execute("DELETE FROM selector_openings WHERE study_id IS NULL")
    op.drop_index("ix_selector_openings_splits", "selector_openings")
    with (
        _scores_aside(),
        op.batch_alter_table("selector_openings", copy_from=_table(kept=True)) as batch,
    ):
        batch.drop_constraint(_KEY, type_="foreignkey")
        batch.create_foreign_key(_KEY, "selector_studies", ["study_id"], ["id"], ondelete="CASCADE")
        batch.alter_column("study_id", existing_type=sa.Integer(), nullable=False)
        batch.drop_column("study")
        batch.drop_column("splits")


@contextmanager
def _scores_aside() -> Iterator[None]:
    """SQLite drops and remakes the table, which would take the scores that hang on it along."""
    if op.get_context().dialect.name != "sqlite":
        yield
        return
    op.execute("CREATE TEMPORARY TABLE scores_aside AS SELECT * FROM selector_test_scores")
    op.execute("DELETE FROM selector_test_scores")
    yield
    op.execute("INSERT INTO selector_test_scores SELECT * FROM scores_aside")
    op.execute("DROP TABLE scores_aside")


def _fill_in() -> None:
    """Give each opening the name of its study, and the hash of the splits that it looked at."""
    connection = op.get_bind()
    openings = sa.table("selector_openings", *map(sa.column, ("study_id", "study", "splits")))
    studies = sa.table(
        "selector_studies",
        sa.column("id"),
        sa.column("name"),
        sa.column("fingerprint"),
        sa.column("data", sa.JSON()),
        sa.column("validation", sa.LargeBinary()),
    )
    opened = sa.select(openings.c.study_id)
    for study in connection.execute(sa.select(studies).where(studies.c.id.in_(opened))).all():
        connection.execute(
            sa.update(openings)
            .where(openings.c.study_id == study.id)
            .values(study=study.name, splits=_hash(study.fingerprint, study.data, study.validation))
        )


def _hash(fingerprint: str, data: dict[str, Any], validation: bytes) -> str:
    """As the program computed it at this revision."""
    ids = json.loads(zlib.decompress(validation))["ids"]
    plain = json.dumps([fingerprint, ids, data["class_counts"]], sort_keys=True)
    return hashlib.sha256(plain.encode()).hexdigest()


def _table(*, kept: bool = False) -> sa.Table:
    """The table before the batch; a script for SQLite could not look it up."""
    return sa.Table(
        "selector_openings",
        sa.MetaData(),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=kept),
        sa.Column("trial", sa.Integer(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("no_reference", sa.Text(), nullable=True),
        sa.Column("study", sa.String(200), nullable=not kept),
        sa.Column("splits", sa.String(64), nullable=not kept),
        sa.ForeignKeyConstraint(
            ["study_id"],
            ["selector_studies.id"],
            name=_KEY,
            ondelete="SET NULL" if kept else "CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_selector_openings"),
        sa.Index("ix_selector_openings_study_id", "study_id"),
    )
