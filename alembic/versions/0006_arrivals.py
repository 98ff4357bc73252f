"""Record the settings and ignore rules of a gallery, and find vanished photos by fingerprint."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("galleries", sa.Column("settings", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("galleries", sa.Column("rules", sa.JSON(none_as_null=True), nullable=True))
    where = sa.text("gone_at IS NOT NULL")
    op.create_index(
        "ix_jobs_gone", "jobs", ["fingerprint"], sqlite_where=where, postgresql_where=where
    )
    op.execute("UPDATE jobs SET rank = 3 WHERE rank = 2")


def downgrade() -> None:
    op.execute("UPDATE jobs SET rank = 2 WHERE rank = 3")
    op.drop_index("ix_jobs_gone", "jobs")
    op.drop_column("galleries", "rules")
    op.drop_column("galleries", "settings")
