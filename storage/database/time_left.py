"""Estimate the time that waiting photos need, by their megapixels and those of the last that ended.

All who show the time left read it here, so that they show the same.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import select

from storage.database import counts, heartbeats
from storage.database.engine import reading
from storage.database.tables import counted, workers
from storage.database.tables import jobs as table
from storage.enums import CLASSIFY, Decision, Status
from storage.settings import settings

LAST = 200
"""Number of the last jobs that ended, whose pace counts."""
READ = 2000
"""Number of the last jobs that ended, among which those are looked for."""
SAMPLE = 200
"""Number of waiting jobs of a queue and a gallery, whose mean size is that of all."""
MEGA = 1_000_000
c, k = table.c, counted.c


@dataclass(frozen=True)
class TimeLeft:
    """What waits or runs, and how long it takes."""

    photos: int
    megapixels: float
    seconds: float | None
    """None if nothing has been finished yet."""


def estimate(engine: sa.Engine, gone: Collection[str] = ()) -> TimeLeft:
    """Return what waits or runs and for how long, except in the galleries that are `gone`.

    The work is divided among the workers that are alive and serve a queue in which there is any.
    """
    with reading(engine) as connection:
        found = connection.execute(
            counts.by(k.queue, k.gallery).where(
                k.status.in_((Status.QUEUED, Status.RUNNING)), k.gallery.not_in(gone)
            )
        )
        waiting: dict[tuple[str, str], int] = {(row[0], row[1]): row[2] for row in found}
        last = connection.execute(_last()).all()
        known = {place: _mean(connection, *place) for place in waiting if place[0] != CLASSIFY}
        busy = _busy(connection, {queue for queue, _ in waiting})
    mended = [row for row in last if row.decision in (Decision.RESTORED, Decision.KEPT_ORIGINAL)]
    mean = sum(row.pixels for row in last) / len(last) / MEGA if last else 0.0
    unknown = mean * sum(number for (queue, _), number in waiting.items() if queue == CLASSIFY)
    classified = sum(waiting[place] * (size or mean) for place, size in known.items())
    seconds = (unknown * _pace(last) + classified * _pace(mended or last)) / busy
    return TimeLeft(sum(waiting.values()), unknown + classified, seconds if last else None)


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


def _mean(connection: sa.Connection, queue: str, gallery: str) -> float | None:
    here = (c.status == Status.QUEUED, c.queue == queue, c.gallery == gallery)
    some = select(c.pixels).where(*here).limit(SAMPLE)
    found = connection.scalar(select(sa.func.avg(some.subquery().c.pixels)))
    return None if found is None else float(found) / MEGA


def _busy(connection: sa.Connection, queues: Collection[str]) -> int:
    """Return the number of live workers that serve one of the queues; 1 if there is none."""
    alive = sa.not_(heartbeats.silent(workers, settings().worker_timeout_seconds))
    served = connection.scalars(select(workers.c.queues).where(alive))
    return max(sum(not set(each.split(",")).isdisjoint(queues) for each in served), 1)


def _pace(rows: Any) -> float:
    """Return the seconds for a megapixel."""
    megapixels = sum(row.pixels for row in rows) / MEGA
    return sum(row.seconds for row in rows) / megapixels if megapixels else 0.0
