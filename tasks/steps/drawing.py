"""Draw the previews of a job again, because the page asked for them.

The photo and its published result are on disk: nothing is classified or mended, and the job stays as
it is.
"""

import logging

from storage import beneath, output_folder, photos, preview_requests, waiting_results
from storage.beneath import Beneath
from storage.database import search
from storage.database.records import Job
from storage.enums import Decision, Review
from storage.errors import DatabaseGone, GalleryOffline, UnreadablePhoto
from storage.photos import Image
from storage.settings import settings
from storage.settings_gallery import BESIDE
from storage.text import printable
from tasks import previews
from tasks.steps import failures, paths
from tasks.worker import idle, runtime
from tasks.worker.app import app

log = logging.getLogger(__name__)

NONE_KEPT = "no pictures are kept: previews_megabytes is 0 in the settings"
NOT_RECORDED = "it is no longer recorded"
LOST = "the result that waited is gone from the state folder; keep or mend makes it again"
REJECTED = "its result was rejected, so only the photo is shown; undo brings the result back"


@app.task(name="draw", throws=(DatabaseGone,), time_limit=preview_requests.DRAW_SECONDS)
def draw(notified: int) -> None:
    """Draw the previews of a job if the page asked for them, and note what could not be drawn.

    Celery ends this child after the time limit: only claims have a deadline in the database.
    """
    root = settings().state_dir
    with idle.working():
        if not preview_requests.take(root, notified):
            return log.debug("notified of pictures of job %d, which nobody asked for", notified)
        if reason := _drawn(notified):
            log.info("job %d: not all pictures are drawn: %s", notified, reason)
            return preview_requests.fail(root, notified, printable(reason))
        log.info("job %d: its pictures are drawn", notified)
        return preview_requests.finish(root, notified)


def _drawn(job_id: int) -> str | None:
    """Draw the previews of a job; return why some could not be drawn, None if all are."""
    try:
        if not settings().previews_megabytes:
            return NONE_KEPT
        job = search.get(runtime.jobs().engine, job_id)
        return NOT_RECORDED if job is None else _draw(job)
    except DatabaseGone:
        raise
    except Exception as error:  # noqa: BLE001  an error that leaves a task may end the worker
        return failures.rule_of(error).sentence(error)


def _draw(job: Job) -> str | None:
    try:
        photo = photos.read(paths.source(job), paths.limits())
    except OSError as error:
        if error.errno not in paths.GONE:
            raise
        return _why_gone(job)
    mended, missing = _result(job)
    previews.draw(job.id, photo, mended)
    return missing


def _why_gone(job: Job) -> str:
    if paths.source_gone(runtime.jobs(), job):
        return "the photo is gone from its folder"
    return f"the gallery {job.gallery} is offline: connect its disk or mount its share"


def _result(job: Job) -> tuple[Image | None, str | None]:
    """Return the result of a job, or None and why it cannot be shown, if it should be there."""
    if job.review is Review.REJECTED:
        return None, REJECTED
    if job.review is Review.WAITING:
        waiting = waiting_results.file(settings().state_dir, job)
        return (None, LOST) if waiting is None else _read(beneath.at(waiting))
    if job.decision is not Decision.RESTORED or job.output is None:
        return None, None
    config = paths.gallery(job)
    if config.name not in BESIDE and not output_folder.is_marked(config.output_root):
        raise GalleryOffline(
            "the folder of results is offline: connect its disk or mount its share"
        )
    return _read(paths.output(job, job.output))


def _read(result: Beneath) -> tuple[Image | None, str | None]:
    try:
        return photos.read(result, paths.limits()).image, None
    except UnreadablePhoto as error:
        return None, f"its result cannot be read: {error}"
    except OSError as error:
        if error.errno not in paths.GONE:
            raise
        return None, "its result is gone from the folder of results"
