"""Read-only questions to the database, for `photomend status`; none touches a gallery.

Apart from `storage.database.jobs`, whose import alone would cost that command a tenth of its time. Few
statements, because to build and compile one costs more than to run it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import select

from storage.database import conditions
from storage.database.tables import Gallery, Job, Pause, Worker, galleries, now, pauses, workers
from storage.database.tables import jobs as table
from storage.enums import QUEUES, Decision, ErrorKind, Status

PACE_SECONDS = 3600.0
"""The pace is taken from the jobs that finished so recently."""

c = table.c


@dataclass(frozen=True)
class Trouble:
    """Jobs that failed, or wait, for one kind of reason."""

    status: Status
    kind: ErrorKind
    count: int
    latest: int
    """Id of the newest of them; its error is the example."""


@dataclass(frozen=True)
class Counts:
    """How many jobs there are."""

    jobs: dict[Status, int]
    """By status, each of them."""
    decisions: dict[Decision, int]
    """Of the jobs that are done, each of them."""
    galleries: dict[str, dict[Status, int]]
    troubles: list[Trouble]
    """The commonest first."""
    oldest_waiting: int | None
    """Id of the queued job that was recorded first."""


@dataclass(frozen=True)
class Pace:
    """How fast jobs were finished lately."""

    finished: int
    seconds: float
    """Since the first of them was claimed, an hour at most."""

    @property
    def per_hour(self) -> float:
        """Finished jobs per hour."""
        return self.finished * 3600 / self.seconds if self.finished else 0.0


@dataclass(frozen=True)
class Summary:
    """The state of everything at one instant."""

    now: float
    counts: Counts
    pace: Pace
    running: list[Job]
    """The oldest claim first."""
    examples: dict[int, Job]
    """The jobs that the counts name by id."""
    galleries: list[Gallery]
    workers: list[Worker]
    """All that have not left; dead ones, too, until a keeper has noticed."""
    pauses: list[Pause]
    """Those that last."""

    @property
    def left(self) -> int:
        """How many jobs wait or run."""
        return self.counts.jobs[Status.QUEUED] + self.counts.jobs[Status.RUNNING]

    @property
    def left_seconds(self) -> float | None:
        """How long they will take at the present pace; None if there is no pace."""
        return self.left * 3600 / self.pace.per_hour if self.pace.finished else None


def counts(engine: sa.Engine) -> Counts:
    """Count the jobs."""
    with reading(engine) as connection:
        return _counts(connection)


def summary(engine: sa.Engine) -> Summary:
    """Return everything that `photomend status` tells."""
    with reading(engine) as connection:
        found = _counts(connection)
        named = {trouble.latest for trouble in found.troubles} | {found.oldest_waiting or 0}
        wanted = sa.or_(c.status == Status.RUNNING, c.id.in_(named))
        jobs = [Job.of(row) for row in connection.execute(select(table).where(wanted))]
        clock, pace = _pace(connection)
        running = [job for job in jobs if job.status is Status.RUNNING]
        return Summary(
            now=clock, counts=found, pace=pace,
            running=sorted(running, key=lambda job: job.claimed_at or 0.0),
            examples={job.id: job for job in jobs},
            galleries=[Gallery.of(row) for row in connection.execute(select(galleries))],
            workers=[Worker.of(row) for row in connection.execute(select(workers))],
            pauses=_pauses(connection),
        )  # fmt: skip


def galleries_known(engine: sa.Engine) -> list[Gallery]:
    """Return all galleries that a watcher has looked at."""
    with reading(engine) as connection:
        return [Gallery.of(row) for row in connection.execute(select(galleries))]


def clock(engine: sa.Engine) -> float:
    """Return the database's time, in seconds since 1970."""
    with reading(engine) as connection:
        return float(connection.scalar(select(now())) or 0.0)


def overdue(engine: sa.Engine, seconds: float) -> list[str]:
    """Return the queues with a job that might have been claimed for longer than `seconds`."""
    with reading(engine) as connection:
        return [
            queue
            for queue in QUEUES
            if connection.scalar(conditions.due(queue).where(c.due_at < now() - seconds).limit(1))
        ]


def last_claim(engine: sa.Engine, seconds: float) -> float | None:
    """Return when a job that finished within `seconds` was claimed last; None if none was."""
    recent = select(sa.func.max(c.claimed_at)).where(c.finished_at > now() - seconds)
    with reading(engine) as connection:
        found: float | None = connection.scalar(recent)
        return found


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Open a transaction that only reads."""
    with engine.execution_options(reads=True).connect() as connection:
        yield connection


def _counts(connection: sa.Connection) -> Counts:
    """Count with one scan of ix_jobs_counted, which holds all that is asked for."""
    groups = (c.status, c.gallery, c.decision, c.error_kind)
    figures = (sa.func.count(), sa.func.min(c.id), sa.func.max(c.id))
    jobs, decisions = dict.fromkeys(Status, 0), dict.fromkeys(Decision, 0)
    galleries: dict[str, dict[Status, int]] = {}
    troubles: dict[tuple[Status, ErrorKind], Trouble] = {}
    waiting: list[int] = []
    for row in connection.execute(select(*groups, *figures).group_by(*groups)):
        status, gallery, decision, kind, count, first, last = row
        jobs[status] += count
        own = galleries.setdefault(gallery, dict.fromkeys(Status, 0))
        own[status] += count
        if status is Status.DONE and decision is not None:
            decisions[decision] += count
        if status is Status.QUEUED:
            waiting.append(first)
        if kind is not None and status in (Status.FAILED, Status.QUEUED):
            so_far = troubles.get((status, kind), Trouble(status, kind, 0, 0))
            troubles[status, kind] = Trouble(
                status, kind, so_far.count + count, max(so_far.latest, last)
            )
    commonest = sorted(troubles.values(), key=lambda trouble: -trouble.count)
    return Counts(jobs, decisions, galleries, commonest, min(waiting, default=None))


def _pace(connection: sa.Connection) -> tuple[float, Pace]:
    """Return the time of the database, and how fast jobs were finished within the last hour."""
    recent = (c.finished_at > now() - PACE_SECONDS, c.claims > 0)
    query = select(now(), sa.func.count(), sa.func.min(c.claimed_at)).where(*recent)
    clock, finished, first = connection.execute(query).one()
    since = clock - (clock if first is None else first)
    return clock, Pace(finished, min(max(since, 1.0), PACE_SECONDS))


def _pauses(connection: sa.Connection) -> list[Pause]:
    lasts = sa.or_(pauses.c.until.is_(None), pauses.c.until > now())
    return [Pause.of(row) for row in connection.execute(select(pauses).where(lasts))]
