"""Record what the owner wants of a photo, and what the owner said of its result."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

INDEX = "ix_jobs_review"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("wish", sa.JSON(), nullable=True))
    op.add_column("jobs", sa.Column("review", sa.String(32), nullable=True))
    op.add_column("jobs", sa.Column("reviewed_at", sa.Double(), nullable=True))
    where: dict[str, Any] = dict.fromkeys(
        ("sqlite_where", "postgresql_where"), sa.text("review IS NOT NULL")
    )
    op.create_index(INDEX, "jobs", ["review", "id"], **where)


def downgrade() -> None:
    op.drop_index(INDEX, "jobs")
    for column in ("reviewed_at", "review", "wish"):
        op.drop_column("jobs", column)
