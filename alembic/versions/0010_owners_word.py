"""Record what the owner wants of a photo and says of its result; find vanished photos by folder."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

SET = {
    "ix_jobs_review": ("review", ["review", "id"]),
    "ix_jobs_vanished": ("gone_at", ["gallery", "folder"]),
}
"""Indexes of the rows in which the first column is set."""


def upgrade() -> None:
    op.add_column("jobs", sa.Column("wish", sa.JSON(), nullable=True))
    op.add_column("jobs", sa.Column("review", sa.String(32), nullable=True))
    op.add_column("jobs", sa.Column("reviewed_at", sa.Double(), nullable=True))
    for name, (column, columns) in SET.items():
        where: dict[str, Any] = dict.fromkeys(
            ("sqlite_where", "postgresql_where"), sa.text(f"{column} IS NOT NULL")
        )
        op.create_index(name, "jobs", columns, **where)


def downgrade() -> None:
    for name in SET:
        op.drop_index(name, "jobs")
    for column in ("reviewed_at", "review", "wish"):
        op.drop_column("jobs", column)
