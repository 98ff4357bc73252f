"""Read what a digest says of a span of time; each query uses the index of the end of jobs."""

import sqlalchemy as sa
from sqlalchemy import select

from storage.database.engine import reading
from storage.database.records import Job
from storage.database.tables import jobs as table
from storage.enums import Decision, ErrorKind, Status

MOST_MENDED = 2000
"""Most mended photos of a span of which the files are looked at."""
c = table.c


def failed(engine: sa.Engine, since: float) -> dict[ErrorKind, int]:
    """Return how many jobs have failed since then, by cause, the most frequent first."""
    number = sa.func.count()
    query = select(c.error_kind, number).where(c.finished_at >= since, c.status == Status.FAILED)
    with reading(engine) as connection:
        rows = connection.execute(query.group_by(c.error_kind).order_by(number.desc()))
        return {kind: count for kind, count in rows if kind is not None}


def mended(engine: sa.Engine, since: float) -> list[Job]:
    """Return the photos that were mended since then, the newest first."""
    query = select(table).where(
        c.finished_at >= since, c.status == Status.DONE, c.decision == Decision.RESTORED
    )
    with reading(engine) as connection:
        newest = query.order_by(c.finished_at.desc()).limit(MOST_MENDED)
        return [Job.of(row) for row in connection.execute(newest)]


def last_ended(engine: sa.Engine) -> Job | None:
    """Return the job that ended last; None if none has."""
    query = select(table).where(c.finished_at.is_not(None)).order_by(c.finished_at.desc()).limit(1)
    with reading(engine) as connection:
        row = connection.execute(query).first()
        return None if row is None else Job.of(row)
