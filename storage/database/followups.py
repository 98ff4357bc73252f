"""Follow-ups: what apps that show photos are to be told of results, apart from the jobs.

A row says that a result was published or removed. Publishing never waits for it: `daemon.library_apps`
works on the rows, and finds out from the job what holds now. So a row may be worked on twice.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import delete, select, update

from storage.database import conditions
from storage.database.engine import reading
from storage.database.records import Followup, Job
from storage.database.tables import followups, history, jobs, now
from storage.enums import Decision, Status
from storage.settings import settings
from storage.settings_libraries import IMMICH, PHOTOPRISM

HELD_SECONDS = 600.0
"""Seconds after which another process may take a follow-up: no turn takes longer."""
LONGEST_PAUSE_SECONDS = 6 * 3600.0
"""Longest pause between two turns of one follow-up."""
BATCH_SECONDS = 30.0
"""Pause in which more results of a folder may come before PhotoPrism indexes it."""

c = followups.c


def changed(connection: sa.Connection, before: Job, after: Job) -> None:
    """Record what apps are to be told of a change of a job, in its transaction."""
    if before.output is not None and before.output != after.output:
        for app in _apps():
            _mark(connection, app, after, before.output, newest=False)
    has_result = after.status is Status.DONE and after.decision is Decision.RESTORED
    if has_result and after.output is not None and _result(before) != _result(after):
        for app in _apps():
            _mark(connection, app, after, after.output, newest=True)


def _result(job: Job) -> tuple[object, ...]:
    return job.status, job.output, job.sha256


def _mark(connection: sa.Connection, app: str, job: Job, output: Path, *, newest: bool) -> None:
    """Make the follow-up of a result due; `newest` if the job has it now."""
    row = {"app": app, "gallery": job.gallery, "output": output}
    newer = {"job_id": job.id, "source": job.source}
    due: dict[str, Any] = {"due_at": now()}
    if app == PHOTOPRISM:  # which is asked once for all results of a folder
        row |= {"output": output.parent}
        due = {"due_at": sa.func.coalesce(c.due_at, now() + BATCH_SECONDS)}
    changed = {
        **due,
        **(newer if newest else {}),
        "since": sa.case((c.due_at.is_(None), now()), else_=c.since),
        "serial": c.serial + 1,
        "attempts": 0,
    }
    first = {"due_at": now() + (BATCH_SECONDS if app == PHOTOPRISM else 0.0)}
    step = _insert(connection.dialect.name).values(**row, **newer, **first)
    keys = ["app", "gallery", "output"]
    connection.execute(step.on_conflict_do_update(index_elements=keys, set_=changed))


def _insert(dialect: str) -> Any:
    """Return an INSERT that knows ON CONFLICT; to import the dialects takes a while."""
    if dialect == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(followups)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(followups)


def _apps() -> list[str]:
    known = settings()
    urls = {IMMICH: known.immich.url, PHOTOPRISM: known.photoprism.url}
    return [app for app, url in urls.items() if url]


def take(engine: sa.Engine, app: str, galleries: Collection[str]) -> Followup | None:
    """Take the follow-up of these galleries that has been due for the longest time; None if none is."""
    free = sa.or_(c.held_until.is_(None), conditions.passed(c.held_until, HELD_SECONDS))
    mine = (c.app == app, c.gallery.in_(list(galleries)))
    due = (*mine, conditions.passed(c.due_at, LONGEST_PAUSE_SECONDS), free)
    first = select(c.id).where(*due).order_by(c.due_at, c.id).limit(1).scalar_subquery()
    # PostgreSQL looks at `free` again when another process has taken the row meanwhile.
    step = update(followups).where(c.id == first, free).values(held_until=now() + HELD_SECONDS)
    with engine.begin() as connection:
        row = connection.execute(step.returning(followups)).first()
    return None if row is None else Followup.of(row)


def job_of(engine: sa.Engine, taken: Followup) -> Job | None:
    """Return the job whose result a follow-up is about; None if it is not recorded any more."""
    with reading(engine) as connection:
        row = connection.execute(select(jobs).where(jobs.c.id == taken.job_id)).first()
    return None if row is None else Job.of(row)


def finish(
    engine: sa.Engine, taken: Followup, event: str | None, known: dict[str, Any] | None
) -> None:
    """Record that an app knows all of a result; `known` is None if it has forgotten it.

    If the result has changed meanwhile, the follow-up stays due. `event` is a line of the job's history.
    """
    ended = {"due_at": sa.case((c.serial == taken.serial, sa.null()), else_=c.due_at)}
    step = update(followups).where(c.id == taken.id)
    with engine.begin() as connection:
        connection.execute(step.values(**ended, error=None, held_until=None, known=known))
        if event is not None:
            line = select(jobs.c.id, jobs.c.claims, sa.literal(event), now())
            connection.execute(
                sa.insert(history).from_select(
                    ["job_id", "claim", "event", "at"], line.where(jobs.c.id == taken.job_id)
                )
            )


def postpone(engine: sa.Engine, taken: Followup, error: str, seconds: float) -> None:
    """Let a follow-up wait; if its result has changed meanwhile, it is due at once."""
    unchanged = c.serial == taken.serial
    values = {
        "due_at": sa.case((unchanged, now() + seconds), else_=c.due_at),
        "attempts": c.attempts + sa.case((unchanged, 1), else_=0),
        "error": error,
        "held_until": None,
    }
    with engine.begin() as connection:
        connection.execute(update(followups).where(c.id == taken.id).values(values))


def drop(engine: sa.Engine, taken: Followup) -> None:
    """Remove a follow-up, unless its result has changed meanwhile."""
    with engine.begin() as connection:
        same = (c.id == taken.id, c.serial == taken.serial)
        if not connection.execute(delete(followups).where(*same)).rowcount:
            connection.execute(
                update(followups).where(c.id == taken.id).values(held_until=None, known=None)
            )


def make_due(engine: sa.Engine, app: str) -> int:
    """Let all follow-ups of an app that wait be tried at once; return their number."""
    step = update(followups).where(c.app == app, c.due_at.is_not(None)).values(due_at=now())
    with engine.begin() as connection:
        return connection.execute(step).rowcount


def add_results(engine: sa.Engine) -> int:
    """Add follow-ups for immich of all results that have none; return their number."""
    mine = (c.app == IMMICH, c.gallery == jobs.c.gallery, c.output == jobs.c.output)
    results = (
        jobs.c.status == Status.DONE, jobs.c.decision == Decision.RESTORED,
        jobs.c.output.is_not(None), sa.not_(select(c.id).where(*mine).exists()),
    )  # fmt: skip
    with engine.begin() as connection:
        found = [Job.of(row) for row in connection.execute(select(jobs).where(*results))]
        for job in found:
            assert job.output is not None
            _mark(connection, IMMICH, job, job.output, newest=True)
    return len(found)


@dataclass(frozen=True)
class Waiting:
    """The follow-ups of an app that wait."""

    app: str
    count: int
    oldest: float
    """Since when the oldest one waits."""
    error: str | None
    """Why it waits; None if it was not tried yet."""


def forget(connection: sa.Connection, gallery: str) -> None:
    """Remove the follow-ups of a gallery; what apps were told stays as it is."""
    connection.execute(delete(followups).where(c.gallery == gallery))


def rename(connection: sa.Connection, old: str, new: str) -> None:
    """Give the follow-ups of the gallery `old` the name `new`."""
    forget(connection, new)
    connection.execute(update(followups).where(c.gallery == old).values(gallery=new))


def waiting(connection: sa.Connection) -> list[Waiting]:
    """Return what waits, for each app."""
    due = c.due_at.is_not(None)
    counts = select(c.app, sa.func.count(), sa.func.min(c.since)).where(due).group_by(c.app)
    rows: Sequence[Any] = connection.execute(counts.order_by(c.app)).all()
    return [
        Waiting(app, count, oldest, connection.scalar(_error_of(app)))
        for app, count, oldest in rows
    ]


def _error_of(app: str) -> sa.Select[Any]:
    tried = (c.app == app, c.due_at.is_not(None), c.error.is_not(None))
    return select(c.error).where(*tried).order_by(c.since, c.id).limit(1)
