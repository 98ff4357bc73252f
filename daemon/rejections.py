"""Move rejected results to the trash and back, so that a crash at any moment loses and doubles none."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from pathlib import Path

import sqlalchemy as sa

from daemon.console import targets
from daemon.console.exit_codes import Unknown
from storage import file_attributes, output_folder, publishing, trash
from storage.beneath import Beneath
from storage.database import moves, output_names, reviews, search
from storage.database.records import Job
from storage.enums import Review, Status
from storage.errors import PathRefused
from storage.metadata import sidecar_copies
from storage.settings import settings
from storage.settings_gallery import BESIDE
from storage.text import printable

log = logging.getLogger(__name__)


class Unchanged(Exception):  # it ends no command
    """A job stays as it is, for this reason."""


def reject(engine: sa.Engine, job: Job) -> Job | None:
    """Move a published result to the trash; return None if the job has changed meanwhile.

    Raises:
        Unchanged: the result was changed by its owner, and stays.
        Unknown, PathRefused, OSError: its folder cannot be used.

    """
    assert job.output is not None
    output_root(job)  # nothing is begun if it is away
    begun = moves.begin_reject(engine, job)
    return begun and _remove(engine, job, begun, Review.REJECTED)


def delete(engine: sa.Engine, job: Job) -> Job | None:
    """Move the result of a deleted photo to the trash; return None if the job has changed meanwhile.

    Raises:
        Unchanged: the result was changed by its owner, and stays.
        Unknown, PathRefused, OSError: its folder cannot be used.

    """
    assert job.output is not None
    output_root(job)
    begun = moves.begin_delete(engine, job, reviews.deleted_receipt(job))
    return begun and _remove(engine, job, begun, Review.DELETED)


def _remove(engine: sa.Engine, job: Job, begun: Job, review: Review) -> Job | None:
    """Take a result out of its place, and record it with this review."""
    assert job.output is not None
    result = Beneath(output_root(job), job.output)
    with _called_off(engine, begun, job, lambda: publishing.sha256(result) == job.sha256):
        if settings().trash_days > 0 or review is Review.DELETED:
            gone = trash.put(result, job.id, job.sha256)
        else:
            gone = publishing.remove(result, job.sha256)
        if not gone:
            raise Unchanged(f"{printable(result)} was changed, so it is not removed")
        if settings().trash_days > 0 or review is Review.DELETED:
            sidecar_copies.put_in_trash(result, job.receipt, job.id)
        else:
            sidecar_copies.remove(result, job.receipt)
    changed = reviews.reject(engine, begun)
    if changed is None and job.sha256 is not None and not _is_now(engine, job, review):
        trash.take_out(result, job.id, job.sha256)  # it was queued again meanwhile
    return changed or _is_now(engine, job, review)


def restore(engine: sa.Engine, job: Job) -> Job | None:
    """Bring a rejected result back from the trash; return None if the job has changed meanwhile.

    Raises:
        Unchanged: there is none, or it cannot have its place.
        Unknown, PathRefused, OSError: its folder cannot be used.

    """
    known = reviews.rejected(job)
    if known is None:
        raise Unchanged(_why_none(engine, job))
    output, sha256 = known
    result = Beneath(output_root(job), output)
    if (begun := moves.begin_restore(engine, job)) is None:
        return None
    with _called_off(engine, begun, job, lambda: publishing.sha256(result) != sha256):
        if search.newest(engine, [job.id]) != [job.id]:
            raise Unchanged(
                f"there is a newer version of {printable(job.source)}; it stays as it is"
            )
        if not output_names.reserve(engine, job, output):
            raise Unchanged(f"the result of another photo has the name {printable(output)} now")
        if publishing.sha256(result) != sha256:  # else a restore was interrupted
            _take_out(job, result, sha256)
        sidecar_copies.take_out(result, job.receipt, job.id)
    return reviews.restore(engine, begun, output, sha256) or _is_now(engine, job, None)


def go_on(engine: sa.Engine) -> None:
    """Make the moves which processes began that have ended since, or call them off."""
    move: dict[Review | None, Callable[[sa.Engine, Job], Job | None]] = {
        Review.REJECTING: reject, Review.RESTORING: restore,
        Review.DELETING: delete,
    }  # fmt: skip
    for job in moves.interrupted(engine):
        try:
            move[job.review](engine, job)
        except Unknown as error:  # its disk or share is away
            log.debug("job %d: %s", job.id, error)
        except (Unchanged, PathRefused, OSError) as error:
            log.warning("job %d: %s", job.id, printable(error))
        else:
            log.warning("job %d: its result was being moved when a process ended; done", job.id)


def output_root(job: Job) -> Path:
    """Return the folder of a job's results, if it is there.

    Raises:
        Unknown: it is not.

    """
    gallery = targets.gallery(job.gallery)
    root = gallery.output_root
    if gallery.name not in BESIDE and not output_folder.is_marked(root):
        raise Unknown(f"{printable(root)} holds no results; is its disk or share mounted?")
    return root


@contextmanager
def _called_off(
    engine: sa.Engine, begun: Job, before: Job, unmoved: Callable[[], bool]
) -> Iterator[None]:
    """Call a move off if it cannot be made; one that was made all the same goes on later."""
    try:
        yield
    except Unchanged:
        moves.call_off(engine, begun, before)
        raise
    except OSError:
        with suppress(OSError):
            if unmoved():
                moves.call_off(engine, begun, before)
        raise


def _take_out(job: Job, result: Beneath, sha256: str) -> None:
    folder = result.parent
    photos = Beneath(targets.gallery(job.gallery).path, folder.relative)
    file_attributes.make_folder(photos, folder)
    try:
        if not trash.take_out(result, job.id, sha256):
            raise Unchanged(f"{printable(result)} is no longer in the trash; retry makes it again")
    except FileExistsError as error:
        raise Unchanged(f"another file has the name {printable(result)}; it stays") from error


def _is_now(engine: sa.Engine, job: Job, review: Review | None) -> Job | None:
    """Return the job if another process has ended the same move; None if not."""
    found = search.get(engine, job.id)
    if found is None or found.status is not Status.DONE or found.review is not review:
        return None
    return found if (found.output is None) == (review is not None) else None


def _why_none(engine: sa.Engine, job: Job) -> str:
    """Return why no result of a job comes back, and where an earlier one is that was rejected."""
    reason = f"job {job.id} has no rejected result: {printable(job.source)}"
    if not any(event.event == reviews.REJECTED for event in search.events(engine, job.id)):
        return reason
    with suppress(Unknown, OSError):
        for found in trash.of_job(output_root(job), job.id):
            day = date.fromisoformat(found.relative.parent.name)
            until = day + timedelta(days=settings().trash_days)
            return (
                f"job {job.id} was queued again after its result was rejected, so that does not come "
                f"back by itself; it lies in {printable(found)} until {until}"
            )
    return reason
