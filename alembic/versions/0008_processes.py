"""Record the heartbeats of all processes, with the time since boot."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def heartbeat() -> list[sa.Column]:
    """The columns of a heartbeat that the table of workers lacks."""
    return [
        sa.Column("boot", sa.String(), nullable=True),
        sa.Column("uptime", sa.Double(), nullable=True),
    ]


def upgrade() -> None:
    for column in heartbeat():
        op.add_column("workers", column)
    op.create_table(
        "processes",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("process", sa.Integer(), nullable=False),
        sa.Column("heartbeat_at", sa.Double(), nullable=False),
        *heartbeat(),
        sa.Column("trouble", sa.String(), nullable=True),
        sa.Column("trouble_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("name", "host", name=op.f("pk_processes")),
    )


def downgrade() -> None:
    op.drop_table("processes")
    for name in ("boot", "uptime"):
        op.drop_column("workers", name)
