"""What the owner does with photos and results, for the commands and the web page alike."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from daemon import rejections
from daemon.console import session
from daemon.console.changes import notify
from daemon.console.exit_codes import Unknown
from daemon.rejections import Unchanged
from storage.database import reviews, search, wishes
from storage.database.records import Job
from storage.enums import Category, Review, Status, Strength
from storage.errors import PathRefused
from storage.text import printable
from storage.wishes import Wish


class Outcome(NamedTuple):
    """What an action did with one job."""

    job: Job | None
    """The job as it is now; None if it is no longer recorded."""
    reason: str | None
    """Why it was not changed; None if it was."""


def keep(jobs: Iterable[Job]) -> list[Outcome]:
    """Record that the owner keeps these results."""
    return _each(jobs, _keep)


def reject(jobs: Iterable[Job]) -> list[Outcome]:
    """Move results to the trash, so that only a retry makes them again.

    A result that was changed after photomend wrote it stays.
    """
    return _each(jobs, _reject)


def undo(jobs: Iterable[Job]) -> list[Outcome]:
    """Take back what the owner said of these results: what was rejected is restored."""
    return _each(jobs, _undo)


def restore(jobs: Iterable[Job]) -> list[Outcome]:
    """Bring rejected results back from the trash, but never over another file."""
    return _each(jobs, _restore)


def mend(
    jobs: Iterable[Job], *, category: Category | None = None, strength: Strength | None = None
) -> list[Job]:
    """Queue photos before all others, whatever was decided for them; return the queued jobs.

    The newest job of each photo is taken. What is running, and what would lose the owner's data, stays
    as it is.
    """
    engine = session.engine()
    newest = search.newest(engine, [job.id for job in jobs])
    asked = wishes.ask(engine, newest, Wish(category, strength))
    notify(asked)
    return asked


def _each(jobs: Iterable[Job], change: Callable[[Job], Job | None]) -> list[Outcome]:
    return [_outcome(job, change) for job in jobs]


def _outcome(job: Job, change: Callable[[Job], Job | None]) -> Outcome:
    reason = f"job {job.id} was changed meanwhile; look at it again"
    try:
        if (changed := change(job)) is not None:
            return Outcome(changed, None)
    except (Unchanged, Unknown, PathRefused) as error:
        reason = str(error)
    except OSError as error:
        reason = f"the result of job {job.id} cannot be moved: {printable(error)}"
    return Outcome(search.get(session.engine(), job.id), reason)


def _keep(job: Job) -> Job | None:
    _check_has_result(job)
    return reviews.keep(session.engine(), job)


def _reject(job: Job) -> Job | None:
    _check_has_result(job)
    return rejections.reject(session.engine(), job)


def _undo(job: Job) -> Job | None:
    if job.review is Review.KEPT:
        return reviews.undo_keep(session.engine(), job)
    return _restore(job)


def _restore(job: Job) -> Job | None:
    return rejections.restore(session.engine(), job)


def _check_has_result(job: Job) -> None:
    if job.status is not Status.DONE or job.output is None:
        raise Unchanged(f"job {job.id} has no result: it is {job.status}")
