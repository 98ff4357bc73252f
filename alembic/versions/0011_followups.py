"""Record what apps that show photos are to be told of results, and say of new photos."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "followups",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("app", sa.String(), nullable=False),
        sa.Column("gallery", sa.String(), nullable=False),
        sa.Column("output", sa.LargeBinary(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("source", sa.LargeBinary(), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.Double(), nullable=True),
        sa.Column("since", sa.Double(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("held_until", sa.Double(), nullable=True),
        sa.Column("known", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_followups")),
        sa.UniqueConstraint("app", "gallery", "output", name=op.f("uq_followups")),
    )
    op.create_index("ix_followups_due", "followups", ["app", "due_at"])
    op.create_table(
        "asked_folders",
        sa.Column("gallery", sa.String(), nullable=False),
        sa.Column("folder", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("gallery", "folder", name=op.f("pk_asked_folders")),
    )


def downgrade() -> None:
    op.drop_table("asked_folders")
    op.drop_table("followups")
