"""Whether jobs can go on by themselves, and what keeps the others waiting, for `photomend up`."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

import sqlalchemy as sa
from sqlalchemy import select

from storage.database import claimable, conditions, holds, pauses
from storage.database.engine import reading
from storage.database.records import Pause
from storage.database.tables import galleries, now
from storage.database.tables import jobs as table
from storage.enums import QUEUES, ErrorKind, Outcome, Status

OUTSIDE = tuple(
    kind for kind in ErrorKind if kind.outcome is Outcome.WAIT and kind is not ErrorKind.STOPPED
)
"""Kinds of errors whose cause lies outside the photo and may last: `up --once` ends without them."""

CLOCK_TICK_SECONDS = 0.001
"""Two times of one UPDATE differ by less."""

c = table.c


@dataclass(frozen=True)
class WaitingJobs:
    """The queued jobs with one kind of error."""

    kind: ErrorKind | None
    """None for jobs without an error."""
    count: int
    error: str | None
    """The error of one of them."""
    until: float | None
    """When the first of them may be claimed; None if its time has come."""


@dataclass(frozen=True)
class Waiting:
    """Why jobs of some galleries wait."""

    offline: list[tuple[str, str | None]]
    """Name and reason of each gallery that is offline."""
    pauses: list[Pause]
    jobs: list[WaitingJobs]

    def __bool__(self) -> bool:
        """Return whether a job waits, or a gallery whose photos are not known."""
        return bool(self.offline or self.jobs)


def under_way(engine: sa.Engine, names: Collection[str], *, since: float) -> bool:
    """Return whether a gallery of `names` was not scanned since then, or a job can go on by itself.

    A job can if it runs, if it may be claimed now, or if only the pause after an attempt stops it.
    One that was tried since then and waits for something outside is not waited for, unless a person
    retries it: then it was due when its row was changed.
    """
    stuck = sa.and_(
        c.error_kind.in_(OUTSIDE), c.updated_at >= since, c.due_at > c.updated_at + CLOCK_TICK_SECONDS
    )  # fmt: skip
    soon = (
        sa.or_(claimable.due(), c.error_kind.not_in(OUTSIDE)),
        sa.func.coalesce(sa.not_(stuck), True), sa.not_(holds.held(c.queue)),
    )  # fmt: skip
    running = select(c.id).where(c.status == Status.RUNNING, c.gallery.in_(names))
    scanned = select(galleries.c.name).where(
        galleries.c.updated_at >= since,
        sa.or_(galleries.c.scanned_at >= since, sa.not_(galleries.c.online)),
    )
    with reading(engine) as connection:
        if set(names) - set(connection.scalars(scanned)):
            return True
        mine = (g for g in claimable.groups(connection, QUEUES) if g.gallery in names)
        moving = (running, *(claimable.jobs_of(group).where(*soon) for group in mine))
        return any(connection.scalar(query.limit(1)) is not None for query in moving)


def left_waiting(engine: sa.Engine, names: Collection[str]) -> Waiting:
    """Return what keeps jobs of these galleries waiting."""
    g = galleries.c
    offline = select(g.name, g.reason).where(g.name.in_(names), sa.not_(g.online))
    held_until = sa.func.coalesce(g.held_until, 0.0)
    ready = sa.func.min(sa.case((held_until > c.due_at, held_until), else_=c.due_at))
    groups = (
        select(c.error_kind, sa.func.count(), sa.func.min(c.error), ready)
        .outerjoin_from(table, galleries, g.name == c.gallery)
        .where(c.status == Status.QUEUED, c.gallery.in_(names))
        .group_by(c.error_kind)
    )
    with reading(engine) as connection:
        clock = connection.scalar(select(now())) or 0.0
        waits = partial(conditions.left, clock=clock, longest=conditions.LONGEST_PAUSE_SECONDS)
        return Waiting(
            [(name, reason) for name, reason in connection.execute(offline)],
            [pause for pause in pauses.lasting(connection) if pause.scope != pauses.NOW],
            [
                WaitingJobs(kind, count, error, at if waits(at) else None)
                for kind, count, error, at in connection.execute(groups)
            ],
        )
