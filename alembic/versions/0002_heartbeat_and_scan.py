"""Name heartbeats and scans by the words that the rest of photomend uses."""

from alembic import op

revision = "0002"
down_revision = "0001"

RENAMED = (
    ("workers", "beat_at", "heartbeat_at"),
    ("galleries", "walked_at", "scanned_at"),
    ("galleries", "walk_seconds", "scan_seconds"),
)


def upgrade() -> None:
    for table, old, new in RENAMED:
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")


def downgrade() -> None:
    for table, old, new in RENAMED:
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {new} TO {old}")
