"""Hold a gallery whose output cannot be written to, and record where its folder is."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

COLUMNS = {
    "trouble": sa.String(),
    "trouble_kind": sa.String(32),
    "trouble_at": sa.Double(),
    "held_until": sa.Double(),
    "real_root": sa.LargeBinary(),
    "device": sa.String(),
    "device_path": sa.LargeBinary(),
}


def upgrade() -> None:
    for name, kind in COLUMNS.items():
        op.add_column("galleries", sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    for name in COLUMNS:
        op.drop_column("galleries", name)
