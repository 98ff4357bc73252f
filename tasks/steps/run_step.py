"""Claim the most urgent job and take its next step; a notification starts this."""

import logging
import time

from sqlalchemy.exc import SQLAlchemyError

from storage.database import holds
from storage.database.records import Job
from storage.enums import Decision, ErrorKind, Outcome
from storage.errors import ClaimLost, DatabaseGone
from storage.settings import settings
from storage.text import printable
from tasks import progress
from tasks.steps import failures, paths
from tasks.steps.classify import classify
from tasks.steps.restore import restore
from tasks.worker import device, idle, runtime
from tasks.worker.app import app
from tasks.worker.reporting import reporter

log = logging.getLogger(__name__)

RECORD_TRIES = 10
"""Number of times that the end of a claim is written, two seconds apart, if the database is away."""


def run_step(notified: int) -> None:
    """Claim the most urgent job of this worker's queues and take its next step.

    `notified` is the job that the notification names; another may be more urgent by now.
    """
    with idle.working():
        job = device.claim()
        if job is None:
            log.debug("notified of job %d, but no job is due", notified)
            return
        try:
            device.yield_gpu(job)
            with progress.reported(reporter(job)):
                (classify if job.category is None else restore)(job)
            device.release(job)
        except (ClaimLost, DatabaseGone) as lost:
            log.warning("%s", lost)
        except Exception as error:  # noqa: BLE001  an error that leaves a task may end the worker
            _record(job, error)
        # SystemExit and KeyboardInterrupt pass: only the parent knows why it stops its child.


# The parent sees, too, that the database is gone, and ends this worker.
app.task(name="classify", throws=(DatabaseGone,))(run_step)
app.task(name="restore", throws=(DatabaseGone,))(run_step)


def _record(job: Job, error: Exception) -> None:
    """End the claim with `error`; try again while the database is away."""
    for _ in range(RECORD_TRIES):
        try:
            return _end(job, error)
        except (ClaimLost, DatabaseGone) as lost:
            return log.warning("%s", lost)
        except SQLAlchemyError as away:
            log.warning("job %d: the database does not answer: %s", job.id, away)
            time.sleep(2)


def _end(job: Job, error: Exception) -> None:
    """End the claim as the retry policy asks for."""
    jobs, reason = runtime.jobs(), failures.text(error)
    if getattr(error, "errno", None) in paths.GONE and paths.source_gone(jobs, job):
        log.info("job %d is cancelled: its source is gone", job.id)
        return jobs.drop(job, "its source is gone")
    rule = failures.rule_of(error)
    sentence = rule.sentence(error)
    if isinstance(rule.ends, Decision):
        log.warning("job %d is %s: %s", job.id, rule.ends, sentence)
        return jobs.finish(job, rule.ends, sentence)
    kind = rule.ends
    if rule.while_arriving is not None and paths.may_be_arriving(job):
        kind = rule.while_arriving
    if kind in failures.OF_DEVICE:
        return _hold(job, kind, sentence)
    if kind in failures.OF_GALLERY and job.gallery in settings().galleries:
        return _hold_gallery(job, kind, sentence)
    level, words = failures.logged(kind)
    if kind.outcome is Outcome.WAIT and (job.error_kind, job.error) == (kind, printable(sentence)):
        level = logging.DEBUG
    text = sentence if reason in sentence else f"{sentence}: {reason}"
    traceback = error if kind is ErrorKind.ERROR else None
    log.log(level, "job %d %s: %s", job.id, words, text, exc_info=traceback)
    return jobs.end_with_error(job, kind, sentence)


def _hold_gallery(job: Job, kind: ErrorKind, sentence: str) -> None:
    """Hold the gallery and end the claim; another job is the first to try the output again.

    The result of this one may be the only one that has no room.
    """
    jobs, least = runtime.jobs(), settings().retry_pause_seconds
    hold = holds.hold_gallery(jobs.engine, job.gallery, kind, sentence, least_seconds=least)
    if hold.is_new:
        text = "gallery %s waits (%s): %s; its photos try again one by one"
        log.warning(text, job.gallery, kind, sentence)
    jobs.end_with_error(job, kind, sentence, pause_seconds=2 * hold.seconds)


def _hold(job: Job, kind: ErrorKind, sentence: str) -> None:
    """Hold the queues that need the device, end the claim, and let a new child try with another job.

    A job that loses a GPU again, after others have used it, may itself be the cause.
    """
    hold = device.hold(kind, sentence)
    idle.end_child()
    if hold.is_new and job.error_kind is kind is ErrorKind.GPU_LOST:
        log.error("job %d failed an attempt (%s): %s", job.id, kind, sentence)
        return runtime.jobs().end_with_error(job, ErrorKind.CRASHED, f"{sentence}, again")
    log.debug("job %d waits (%s)", job.id, kind)
    return runtime.jobs().end_with_error(job, kind, sentence, pause_seconds=2 * hold.seconds)
