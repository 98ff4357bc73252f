"""Record which copies are larger than the rule allows."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

INDEX, COLUMNS = "ix_jobs_counted", ["status", "gallery", "decision", "error_kind"]


def upgrade() -> None:
    op.add_column("jobs", sa.Column("oversized", sa.Boolean(), nullable=True))
    op.drop_index(INDEX, "jobs")
    op.create_index(INDEX, "jobs", [*COLUMNS, "oversized"])


def downgrade() -> None:
    op.drop_index(INDEX, "jobs")
    op.create_index(INDEX, "jobs", COLUMNS)
    op.drop_column("jobs", "oversized")
