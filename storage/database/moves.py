"""The moves of results to the trash and back, each recorded before the file is moved.

So a move has two steps, as publishing has. After a crash in between, `interrupted` returns the job,
and the move is made or called off.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from storage.database import conditions
from storage.database.engine import reading
from storage.database.records import Job
from storage.database.tables import jobs, now
from storage.enums import Review, Status

MOVING = (Review.REJECTING, Review.RESTORING, Review.DELETING)
DELETED = "its photo was deleted"
"""The reason of a job whose result went to the trash with its photo."""
MOVING_SECONDS = 30.0
"""Time in which a process that lives has moved a result, or given up."""

c = jobs.c


def begin_reject(engine: sa.Engine, job: Job) -> Job | None:
    """Record that a result is about to be removed; return None if the job has changed."""
    return _change(engine, job, c.sha256 == job.sha256, review=Review.REJECTING, reviewed_at=now())


def begin_delete(engine: sa.Engine, job: Job, receipt: Mapping[str, Any]) -> Job | None:
    """Record that the result of a deleted photo is about to be removed; None if that has changed.

    What was begun goes on even if the photo has come back: the result may have moved already.
    """
    still = sa.or_(c.review == Review.DELETING, sa.and_(c.gone_at.is_not(None), none_begun()))
    return _change(
        engine, job, sa.and_(c.sha256 == job.sha256, still), receipt=dict(receipt),
        review=Review.DELETING, reviewed_at=now(),
    )  # fmt: skip


def begin_restore(engine: sa.Engine, job: Job) -> Job | None:
    """Record that a rejected result is about to come back; return None if the job has changed."""
    return _change(engine, job, c.review == job.review, review=Review.RESTORING, reviewed_at=now())


def call_off(engine: sa.Engine, begun: Job, before: Job) -> None:
    """Give a job the review that it had before a move which cannot be made."""
    review: Review | None = before.review
    if before.review in MOVING:  # by a process that died
        review = before_move(before)
    at = None if review is None else before.reviewed_at
    _change(engine, begun, c.review == begun.review, review=review, reviewed_at=at)


def before_move(job: Job) -> Review | None:
    """Return what holds of a job if the move that it began is not made."""
    if job.review is not Review.RESTORING:
        return None
    return Review.DELETED if job.reason == DELETED else Review.REJECTED


def none_begun() -> sa.ColumnElement[bool]:
    """Return the condition that no result is being moved."""
    return sa.or_(c.review.is_(None), c.review.not_in(MOVING))


def interrupted(engine: sa.Engine) -> list[Job]:
    """Return the jobs whose results were about to be moved by a process that has ended since."""
    present = sa.and_(c.reviewed_at > now() - MOVING_SECONDS, c.reviewed_at <= now())
    query = sa.select(jobs).where(c.review.in_(MOVING), sa.not_(present))
    with reading(engine) as connection:
        return [Job.of(row) for row in connection.execute(query)]


def _change(
    engine: sa.Engine, job: Job, still: sa.ColumnElement[bool], **values: Any
) -> Job | None:
    here = [c.id == job.id, c.status == Status.DONE, still]
    with engine.begin() as connection:
        return next(iter(conditions.change(connection, here, None, **values)), None)
