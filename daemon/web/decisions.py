"""Keep, reject and undo, until `daemon/actions.py` has them for the commands too."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from daemon.console import session, targets
from storage import publishing
from storage.beneath import Beneath
from storage.database.records import Job
from storage.database.tables import jobs as table
from storage.database.tables import now
from storage.enums import Decision, Review, Status

c = table.c


def keep(jobs: Collection[Job]) -> list[Job]:
    """Note that the owner wants these results."""
    done = [c.status == Status.DONE, c.decision == Decision.RESTORED]
    return _note(jobs, Review.KEPT, *done)


def reject(jobs: Collection[Job]) -> list[Job]:
    """Remove these results, and keep the originals."""
    rejected = [job for job in jobs if job.output is not None and _remove(job)]
    removed = [job for job in rejected if session.jobs().reject(job)]
    return _note(removed, Review.REJECTED)


def undo(jobs: Collection[Job]) -> list[Job]:
    """Take back what the owner said of these results."""
    rejected = [job.id for job in jobs if job.review is Review.REJECTED]
    session.jobs().retry(rejected)
    return _note(jobs, None)


def _remove(job: Job) -> bool:
    assert job.output is not None
    root = targets.gallery(job.gallery).output_root
    return publishing.remove(Beneath(root, job.output), job.sha256)


def _note(jobs: Collection[Job], review: Review | None, *where: Any) -> list[Job]:
    said = {"review": review, "reviewed_at": None if review is None else now()}
    here = sa.and_(c.id.in_([job.id for job in jobs]), *where)
    step = sa.update(table).where(here).values(said).returning(table)
    with session.engine().begin() as connection:
        return [Job.of(row) for row in connection.execute(step)]
