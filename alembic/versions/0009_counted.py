"""Count the jobs of each kind as they change, and find jobs by gallery and due time."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

GROUP = ("status", "queue", "gallery", "rank", "decision", "error_kind", "oversized")
LISTED = ", ".join(GROUP)
SET = {
    "ix_jobs_category": ["category", "id"],
    "ix_jobs_decision": ["decision", "id"],
    "ix_jobs_kind": ["error_kind", "status", "id"],
    "ix_jobs_oversized": ["oversized", "id"],
}
"""Indexes of the rows in which the first of these columns is set."""


def upgrade() -> None:
    op.create_table(
        "counted",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("queue", sa.String(), nullable=False),
        sa.Column("gallery", sa.String(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("decision", sa.String(32), nullable=True),
        sa.Column("error_kind", sa.String(32), nullable=True),
        sa.Column("oversized", sa.Boolean(), nullable=True),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_counted")),
    )
    op.execute(
        f"INSERT INTO counted ({LISTED}, number) "
        f"SELECT {LISTED}, count(*) FROM jobs GROUP BY {LISTED}"
    )
    create_triggers()
    op.drop_index("ix_jobs_counted", "jobs")
    op.drop_index("ix_jobs_urgent", "jobs")
    op.create_index("ix_jobs_urgent", "jobs", [*GROUP[:4], "due_at", "id"])
    op.create_index("ix_jobs_status", "jobs", ["status", "id"])
    for name, columns in SET.items():
        where: dict[str, Any] = dict.fromkeys(
            ("sqlite_where", "postgresql_where"), sa.text(f"{columns[0]} IS NOT NULL")
        )
        op.create_index(name, "jobs", columns, **where)


def create_triggers() -> None:
    """Let each UPDATE and DELETE of jobs add what it changes; who inserts jobs does so by itself.

    Each change is a row of its own. On PostgreSQL writers that change the same number would wait
    for each other, and might do so in a circle.
    """
    old, new = add("OLD", -1), add("NEW", 1)
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION count_job() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"{old} IF TG_OP = 'UPDATE' THEN {new} END IF; RETURN NULL; END $$"
        )
        op.execute(
            f"CREATE TRIGGER count_job AFTER DELETE OR UPDATE OF {LISTED} ON jobs "
            "FOR EACH ROW EXECUTE FUNCTION count_job()"
        )
        return
    op.execute(f"CREATE TRIGGER count_deleted AFTER DELETE ON jobs BEGIN {old} END")
    op.execute(
        f"CREATE TRIGGER count_changed AFTER UPDATE OF {LISTED} ON jobs "
        f"WHEN ({of('OLD')}) IS NOT ({of('NEW')}) BEGIN {old} {new} END"
    )


def of(row: str) -> str:
    return ", ".join(f"{row}.{column}" for column in GROUP)


def add(row: str, number: int) -> str:
    return f"INSERT INTO counted ({LISTED}, number) VALUES ({of(row)}, {number});"


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER count_job ON jobs")
        op.execute("DROP FUNCTION count_job")
    else:
        for name in ("count_deleted", "count_changed"):
            op.execute(f"DROP TRIGGER {name}")
    for name in (*SET, "ix_jobs_status", "ix_jobs_urgent"):
        op.drop_index(name, "jobs")
    op.create_index("ix_jobs_urgent", "jobs", ["status", "queue", "rank", "id"])
    op.create_index(
        "ix_jobs_counted", "jobs", ["status", "gallery", "decision", "error_kind", "oversized"]
    )
    op.drop_table("counted")
