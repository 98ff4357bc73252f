"""Read counts and states for status, up, explain and doctor; nothing here opens a gallery.

`photomend status` must start fast. So this module does not import `storage.database.jobs`, and
uses few statements: SQLAlchemy takes longer to compile a statement than the database to run it.
"""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import select

from storage.database import claimable, conditions, counts, deleted, followups, pauses
from storage.database.engine import reading
from storage.database.records import Gallery, Job, Pause, Process, Worker
from storage.database.tables import counted, galleries, now, processes, workers
from storage.database.tables import jobs as table
from storage.enums import QUEUES, Decision, ErrorKind, Review, Status, WhenDeleted
from storage.settings import settings

PACE_SECONDS = 3600.0
"""Age in seconds up to which a finished job counts for the pace."""
c, k = table.c, counted.c


@dataclass(frozen=True)
class Trouble:
    """The jobs that failed, or wait, with one kind of error."""

    status: Status
    kind: ErrorKind
    count: int
    latest: int
    """Id of the newest of them; its error is shown as an example."""


@dataclass(frozen=True)
class Counts:
    """Numbers of jobs."""

    jobs: dict[Status, int]
    """By status; all statuses are there."""
    decisions: dict[Decision, int]
    """By decision, of the jobs that are done; all decisions are there."""
    galleries: dict[str, dict[Status, int]]
    troubles: list[Trouble]
    """The most frequent first."""
    oversized: int
    """Number of copies that are larger than the rule allows."""
    oldest_waiting: int | None
    """Id of the queued job that was recorded first."""
    to_review: int
    """Number of results that are published when the owner keeps them."""


@dataclass(frozen=True)
class Pace:
    """How fast jobs were finished in the last hour."""

    finished: int
    seconds: float
    """Time since the first of them was claimed, at most an hour."""

    @property
    def per_hour(self) -> float:
        """Number of finished jobs per hour."""
        return self.finished * 3600 / self.seconds if self.finished else 0.0


@dataclass(frozen=True)
class Summary:
    """The state of everything at one point in time."""

    now: float
    counts: Counts
    pace: Pace
    running: list[Job]
    """The running jobs, the oldest claim first."""
    examples: dict[int, Job]
    """The jobs that the counts name by id."""
    galleries: list[Gallery]
    workers: list[Worker]
    """All workers; a dead one is listed until maintenance removes it."""
    processes: list[Process]
    """The watcher, maintenance and gallery processes, and those that keep ending."""
    pauses: list[Pause]
    """The pauses that last, and those of this machine."""
    followups: list[followups.Waiting]
    """What apps that show photos are still to be told."""
    vanished: list[deleted.Many]
    """The galleries in which so many photos vanished that their results wait longer to go with them."""

    @property
    def left(self) -> int:
        """Number of jobs that wait or run."""
        return self.counts.jobs[Status.QUEUED] + self.counts.jobs[Status.RUNNING]


def summary(engine: sa.Engine, has_left: Callable[[Gallery], bool] = lambda _: False) -> Summary:
    """Return everything that `photomend status` shows, without galleries that `has_left` names."""
    with reading(engine) as connection:
        known = [Gallery.of(row) for row in connection.execute(select(galleries))]
        left = [gallery for gallery in known if has_left(gallery)]
        found = _counts(connection, {gallery.name for gallery in left})
        named = {trouble.latest for trouble in found.troubles} | {found.oldest_waiting or 0}
        wanted = sa.or_(c.status == Status.RUNNING, c.id.in_(named))
        jobs = [Job.of(row) for row in connection.execute(select(table).where(wanted))]
        clock, pace = _pace(connection)
        running = [job for job in jobs if job.status is Status.RUNNING]
        return Summary(
            now=clock, counts=found, pace=pace,
            running=sorted(running, key=lambda job: job.claimed_at or 0.0),
            examples={job.id: job for job in jobs},
            galleries=[gallery for gallery in known if gallery not in left],
            workers=[Worker.of(row) for row in connection.execute(select(workers))],
            processes=[Process.of(row) for row in connection.execute(select(processes))],
            pauses=pauses.lasting(connection),
            followups=followups.waiting(connection),
            vanished=[
                many
                for gallery in known
                if gallery not in left and _trashes(gallery)
                if (many := deleted.many(connection, gallery))
            ],
        )  # fmt: skip


def _trashes(gallery: Gallery) -> bool:
    """Return whether results of a gallery go to the trash with their photos."""
    found = settings().galleries.get(gallery.name)
    return found is not None and found.when_deleted is WhenDeleted.TRASH


def galleries_known(engine: sa.Engine) -> list[Gallery]:
    """Return all galleries that a watcher has recorded."""
    with reading(engine) as connection:
        return [Gallery.of(row) for row in connection.execute(select(galleries))]


def clock(engine: sa.Engine) -> float:
    """Return the database's time, in seconds since 1970."""
    with reading(engine) as connection:
        return float(connection.scalar(select(now())) or 0.0)


def overdue(engine: sa.Engine, seconds: float) -> list[str]:
    """Return the queues with a job that could have been claimed more than `seconds` ago."""
    if not pauses.was_open(seconds):
        return []
    with reading(engine) as connection:
        limit = (connection.scalar(select(now())) or 0.0) - seconds
        late = {g.queue for g in claimable.groups(connection, QUEUES) if g.first < limit}
        return [queue for queue in QUEUES if queue in late]


def last_decision(engine: sa.Engine) -> float | None:
    """Return when a job was last done; None if none is."""
    done = select(c.finished_at).where(c.finished_at.is_not(None), c.status == Status.DONE)
    with reading(engine) as connection:
        found: float | None = connection.scalar(done.order_by(c.finished_at.desc()).limit(1))
        return found


def due_in_unlikely_future(engine: sa.Engine) -> int:
    """Return how many queued jobs got their time from a clock that was wrong."""
    unlikely = c.due_at > now() + conditions.LONGEST_PAUSE_SECONDS
    query = select(sa.func.count()).where(c.status == Status.QUEUED, unlikely)
    with reading(engine) as connection:
        return connection.scalar(query) or 0


def last_claim(engine: sa.Engine, seconds: float) -> float | None:
    """Return the last claim of a job that finished within `seconds`; None if there is none."""
    recent = select(sa.func.max(c.claimed_at)).where(c.finished_at > now() - seconds)
    with reading(engine) as connection:
        found: float | None = connection.scalar(recent)
        return found


def ended_since(engine: sa.Engine, since: float) -> list[Job]:
    """Return the jobs that ended at `since` or later, the first to end first."""
    # By the time alone: with any other condition SQLite would search all jobs that ever ended.
    query = select(table).where(c.finished_at >= since).order_by(c.finished_at)
    with reading(engine) as connection:
        jobs = [Job.of(row) for row in connection.execute(query)]
    return [job for job in jobs if job.status not in (Status.QUEUED, Status.RUNNING)]


def decided_since(engine: sa.Engine, since: float) -> tuple[float, dict[str, int]]:
    """Return the database's time, and how many jobs ended after `since`, by decision or status."""
    with reading(engine) as connection:
        clock = float(connection.scalar(select(now())) or 0.0)
        ended = (c.finished_at > since, c.finished_at <= clock)
        query = select(c.decision, c.status, sa.func.count()).where(*ended)
        found: Counter[str] = Counter()
        for decision, status, count in connection.execute(query.group_by(c.decision, c.status)):
            found[decision if status is Status.DONE and decision else status] += count
        return clock, dict(found)


def progress(engine: sa.Engine, gone: Collection[str] = ()) -> tuple[dict[Status, int], list[Path]]:
    """Return the number of jobs by status, except in the galleries that are `gone`, and what runs."""
    running = select(c.folder, c.name).where(c.status == Status.RUNNING)
    with reading(engine) as connection:
        found = connection.execute(counts.by(k.status).where(k.gallery.not_in(gone)))
        by_status = dict.fromkeys(Status, 0) | {row[0]: row[1] for row in found}
        return by_status, [folder / name for folder, name in connection.execute(running)]


def _counts(connection: sa.Connection, left: Collection[str]) -> Counts:
    """Count the jobs, except those of the galleries in `left`."""
    jobs, decisions = dict.fromkeys(Status, 0), dict.fromkeys(Decision, 0)
    galleries: dict[str, dict[Status, int]] = {}
    troubles: Counter[tuple[Status, ErrorKind]] = Counter()
    oversized = 0
    kinds = counts.by(k.status, k.gallery, k.decision, k.error_kind, k.oversized)
    for status, gallery, decision, kind, is_oversized, count in connection.execute(kinds):
        if gallery in left:
            continue
        jobs[status] += count
        oversized += count if is_oversized else 0
        own = galleries.setdefault(gallery, dict.fromkeys(Status, 0))
        own[status] += count
        if status is Status.DONE and decision is not None:
            decisions[decision] += count
        if kind is not None and status in (Status.FAILED, Status.QUEUED):
            troubles[status, kind] += count
    seen = select(c.id).where(c.gallery.not_in(left)).limit(1)
    queued = seen.where(c.status == Status.QUEUED).order_by(c.id)
    examples = [
        Trouble(status, kind, count, connection.scalar(_newest(seen, status, kind)) or 0)
        for (status, kind), count in troubles.most_common()
    ]
    oldest = connection.scalar(queued) if jobs[Status.QUEUED] else None
    waiting = (c.review == Review.WAITING, c.decision == Decision.RESTORED, c.gallery.not_in(left))
    to_review = connection.scalar(select(sa.func.count()).where(*waiting)) or 0
    return Counts(jobs, decisions, galleries, examples, oversized, oldest, to_review)


def _newest(seen: sa.Select[tuple[int]], status: Status, kind: ErrorKind) -> sa.Select[tuple[int]]:
    return seen.where(c.status == status, c.error_kind == kind).order_by(c.id.desc())


def _pace(connection: sa.Connection) -> tuple[float, Pace]:
    """Return the time of the database, and the pace of the last hour."""
    recent = (c.finished_at.between(now() - PACE_SECONDS, now()), c.claims > 0)
    query = select(now(), sa.func.count(), sa.func.min(c.claimed_at)).where(*recent)
    clock, finished, first = connection.execute(query).one()
    since = clock - (clock if first is None else first)
    return clock, Pace(finished, min(max(since, 1.0), PACE_SECONDS))


def pauses_now(engine: sa.Engine) -> list[Pause]:
    """Return the pauses that last, and those of this machine."""
    with reading(engine) as connection:
        return pauses.lasting(connection)
