"""Record the progress of jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

COLUMNS = {
    "tiles_done": sa.Integer(),
    "tiles": sa.Integer(),
    "tile_seconds": sa.Double(),
    "progress_at": sa.Double(),
}


def upgrade() -> None:
    for name, kind in COLUMNS.items():
        op.add_column("jobs", sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    for name in COLUMNS:
        op.drop_column("jobs", name)
