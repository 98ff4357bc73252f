"""Estimate the time that waiting photos need, by their megapixels and those of the last that ended."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import select

from storage.database import counts
from storage.database.engine import reading
from storage.database.tables import counted
from storage.database.tables import jobs as table
from storage.enums import CLASSIFY, Decision, Status

LAST = 200
"""Number of the last jobs that ended, whose pace counts."""
READ = 2000
"""Number of the last jobs that ended, among which those are looked for."""
SAMPLE = 200
"""Number of waiting jobs of a queue, whose mean size is that of all."""
MEGA = 1_000_000
c, k = table.c, counted.c


@dataclass(frozen=True)
class TimeLeft:
    """What waits, and how long it takes."""

    photos: int
    megapixels: float
    seconds: float | None
    """None if nothing has been finished yet."""


def estimate(engine: sa.Engine, workers: int) -> TimeLeft:
    """Return what waits and for how long, with this number of workers."""
    with reading(engine) as connection:
        waiting_rows = connection.execute(counts.by(k.queue).where(k.status == Status.QUEUED))
        queued: dict[str, int] = {row[0]: row[1] for row in waiting_rows}
        last = connection.execute(_last()).all()
        known = {queue: _mean(connection, queue) for queue in queued if queue != CLASSIFY}
    mended = [row for row in last if row.decision in (Decision.RESTORED, Decision.KEPT_ORIGINAL)]
    mean = sum(row.pixels for row in last) / len(last) / MEGA if last else 0.0
    unknown = queued.get(CLASSIFY, 0) * mean
    waiting = sum(number * (known.get(q) or mean) for q, number in queued.items() if q != CLASSIFY)
    seconds = (unknown * _pace(last) + waiting * _pace(mended or last)) / max(workers, 1)
    return TimeLeft(sum(queued.values()), unknown + waiting, seconds if last else None)


def _last() -> sa.Select[Any]:
    """Build the SELECT of the last jobs that a worker decided, among the last that ended.

    A library of screenshots ends without pixels; so not all of its jobs are read.
    """
    columns = (c.pixels, c.seconds, c.decision, c.claims, c.finished_at)
    ended = select(*columns).where(c.finished_at.is_not(None)).order_by(c.finished_at.desc())
    read = ended.limit(READ).subquery().c
    decided = select(read.pixels, read.seconds, read.decision)
    decided = decided.where(read.pixels.is_not(None), read.claims > 0)
    return decided.order_by(read.finished_at.desc()).limit(LAST)


def _mean(connection: sa.Connection, queue: str) -> float | None:
    some = select(c.pixels).where(c.status == Status.QUEUED, c.queue == queue).limit(SAMPLE)
    found = connection.scalar(select(sa.func.avg(some.subquery().c.pixels)))
    return None if found is None else float(found) / MEGA


def _pace(rows: Any) -> float:
    """Return the seconds for a megapixel."""
    megapixels = sum(row.pixels for row in rows) / MEGA
    return sum(row.seconds for row in rows) / megapixels if megapixels else 0.0
