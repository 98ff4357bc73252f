"""Hold the queues of a worker whose device cannot be used."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

COLUMNS = {
    "trouble": sa.String(),
    "trouble_kind": sa.String(32),
    "trouble_at": sa.Double(),
    "held_queues": sa.String(),
    "held_until": sa.Double(),
}


def upgrade() -> None:
    for name, kind in COLUMNS.items():
        op.add_column("workers", sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    for name in COLUMNS:
        op.drop_column("workers", name)
