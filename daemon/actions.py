"""What the owner does with photos and results, for the commands and the web page alike."""

import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

from daemon import rejections
from daemon.console import session
from daemon.console.changes import notify
from daemon.console.exit_codes import Unknown
from daemon.rejections import Unchanged
from storage import publishing, waiting_results
from storage.beneath import Beneath
from storage.database import reviews, search, wishes
from storage.database.records import Job
from storage.enums import Category, Review, Status, Strength
from storage.errors import PathRefused
from storage.metadata import sidecar_copies
from storage.settings import settings
from storage.text import printable
from storage.waiting_results import Waiting
from storage.wishes import Wish


class Outcome(NamedTuple):
    """What an action did with one job."""

    job: Job | None
    """The job as it is now; None if it is no longer recorded."""
    reason: str | None
    """Why it was not changed; None if it was."""


def keep(jobs: Iterable[Job]) -> list[Outcome]:
    """Record that the owner keeps these results; those that wait are queued to be published."""
    return _each(jobs, _keep)


def reject(jobs: Iterable[Job]) -> list[Outcome]:
    """Move results to the trash, so that only a retry makes them again.

    A result that was changed after photomend wrote it stays.
    """
    return _each(jobs, _reject)


def undo(jobs: Iterable[Job]) -> list[Outcome]:
    """Take back what the owner said of these results: what was rejected is restored.

    What waited before it was kept waits again, and is no longer published.
    """
    return _each(jobs, _undo)


def restore(jobs: Iterable[Job]) -> list[Outcome]:
    """Bring rejected results back from the trash, but never over another file."""
    return _each(jobs, _restore)


def mend(
    jobs: Iterable[Job], *, category: Category | None = None, strength: Strength | None = None,
    even_if_worse: bool = False,
) -> list[Job]:  # fmt: skip
    """Queue photos before all others, whatever was decided for them; return the queued jobs.

    The newest job of each photo is taken. What is running, and what would lose the owner's data, stays
    as it is.
    """
    engine = session.engine()
    newest = search.newest(engine, [job.id for job in jobs])
    asked = wishes.ask(engine, newest, Wish(category, strength, even_if_worse))
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
    waiting = waiting_results.of(job) if job.review is Review.WAITING else None
    if waiting is not None and waiting.refused is not None:
        file = waiting_results.file(settings().state_dir, job)
        raise Unchanged(
            f"the guard refused the result of job {job.id} ({waiting.refused}); it is for your eyes "
            f"only, and is not published: {printable(file or 'it is gone')}"
        )
    return reviews.keep(session.engine(), job)


def _reject(job: Job) -> Job | None:
    _check_has_result(job)
    if job.review is Review.WAITING:
        return reviews.reject(session.engine(), job)
    return rejections.reject(session.engine(), job)


def _undo(job: Job) -> Job | None:
    if job.review is not Review.KEPT:
        return _restore(job)
    waiting = waiting_results.of(job)
    if waiting is None:
        return reviews.undo_keep(session.engine(), job)
    if job.output is None or job.status is not Status.DONE:
        return reviews.wait_again(session.engine(), job, waiting)
    return _unpublish(job, waiting)


def _unpublish(job: Job, waiting: Waiting) -> Job | None:
    """Take a result that had waited out of the output folder, so that it waits again."""
    assert job.output is not None
    result = Beneath(rejections.output_root(job), job.output)
    if publishing.sha256(result) == job.sha256:  # else an undo was interrupted
        with (
            result.open() as published,
            waiting_results.writing(settings().state_dir, waiting.name) as file,
        ):
            shutil.copyfileobj(published, file)
    again = waiting._replace(sha256=str(job.sha256))
    kept = waiting_results.file(settings().state_dir, replace(job, receipt=again.to_entry()))
    if kept is None or not publishing.remove(result, job.sha256):
        raise Unchanged(f"{printable(result)} was changed, so it stays")
    sidecar_copies.remove(result, job.receipt)
    return reviews.wait_again(session.engine(), job, again)


def _restore(job: Job) -> Job | None:
    if job.review is Review.REJECTED and reviews.rejected(job) is None:
        return _let_wait_again(job)
    return rejections.restore(session.engine(), job)


def _let_wait_again(job: Job) -> Job | None:
    """Bring back a result that was rejected while it waited."""
    waiting = waiting_results.of(job)
    if waiting is None or waiting_results.file(settings().state_dir, job) is None:
        raise Unchanged(f"the result of job {job.id} is gone; retry makes it again")
    return reviews.wait_again(session.engine(), job, waiting)


def _check_has_result(job: Job) -> None:
    if not job.has_result:
        raise Unchanged(f"job {job.id} has no result: it is {job.status}")
