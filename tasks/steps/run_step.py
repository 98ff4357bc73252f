"""What a bell starts: somebody rang, so take the next step of the most urgent job."""

import errno
import logging
import time

from sqlalchemy.exc import SQLAlchemyError

from storage import installation
from storage.database.tables import Job
from storage.enums import Decision, ErrorKind
from storage.errors import (
    ClaimLost,
    GalleryOffline,
    OutputTaken,
    TooLarge,
    UnreadablePhoto,
    WeightsMissing,
    WeightsWrong,
)
from tasks.steps import paths
from tasks.steps.classify import classify
from tasks.steps.restore import restore
from tasks.worker import idle, runtime
from tasks.worker.app import app

log = logging.getLogger(__name__)

RECORD_TRIES = 10
"""So often, with two seconds between, the end of a claim is written to a database that is away."""
GPU_MEMORY = "OutOfMemoryError"
"""The name of torch's error, which is not imported for that."""
KINDS = {
    errno.ENOSPC: ErrorKind.DISK_FULL,
    errno.EDQUOT: ErrorKind.DISK_FULL,
    errno.EROFS: ErrorKind.READ_ONLY,
}


def answer(hint: int) -> None:
    """Claim a job of this worker's queues, whoever rang, and take its next step."""
    with idle.working():
        job = runtime.claim()
        if job is None:
            log.debug("job %d was rung for, but nothing is due", hint)
            return
        try:
            (classify if job.category is None else restore)(job)
        except ClaimLost as lost:
            log.warning("%s", lost)
        except Exception as error:  # noqa: BLE001  MemoryError above all would end the worker
            _record(job, error)
        # SystemExit and KeyboardInterrupt pass: only the parent knows why it ends its child.


app.task(name="classify")(answer)
app.task(name="restore")(answer)


def _record(job: Job, error: Exception) -> None:
    """End the claim in the way that `error` asks for, as soon as the database takes it."""
    for _ in range(RECORD_TRIES):
        try:
            return _end(job, error)
        except ClaimLost as lost:
            return log.warning("%s", lost)
        except SQLAlchemyError as away:
            log.warning("job %d: the database does not answer: %s", job.id, away)
            time.sleep(2)


def _end(job: Job, error: Exception) -> None:
    jobs, reason = runtime.jobs(), str(error) or type(error).__name__
    match error:
        case UnreadablePhoto() if paths.too_young(job):
            log.info("job %d waits, it may still be arriving: %s", job.id, reason)
            jobs.wait(job, ErrorKind.ARRIVING, reason)
        case UnreadablePhoto():
            log.error("job %d failed: %s", job.id, reason)
            jobs.fail(job, ErrorKind.UNREADABLE, reason)
        case TooLarge():
            log.error("job %d failed: %s", job.id, reason)
            jobs.fail(job, ErrorKind.TOO_LARGE, reason)
        case OutputTaken():
            log.warning("job %d is left alone: %s", job.id, reason)
            jobs.finish(job, Decision.LEFT_ALONE, reason)
        case GalleryOffline():
            log.warning("job %d waits: %s", job.id, reason)
            jobs.wait(job, ErrorKind.OFFLINE, reason)
        case FileNotFoundError() if paths.source_gone(jobs, job):
            log.info("job %d is cancelled: its source is gone", job.id)
            jobs.drop(job, "its source is gone")
        case OSError(errno=int(number)):
            kind = KINDS.get(number, ErrorKind.MACHINE)
            log.warning("job %d waits: %s", job.id, reason)
            jobs.wait(job, kind, reason)
        case ImportError() as missing:
            reason = f"a library cannot be used ({reason}); {installation.advice(missing)}"
            log.warning("job %d waits: %s", job.id, reason)
            jobs.wait(job, ErrorKind.MACHINE, reason)
        case WeightsMissing() | WeightsWrong():
            log.warning("job %d waits: %s", job.id, reason)
            jobs.wait(job, ErrorKind.MACHINE, reason)
        case _ if isinstance(error, MemoryError) or type(error).__name__ == GPU_MEMORY:
            log.error("job %d: there is not enough memory", job.id)
            jobs.again(job, ErrorKind.MEMORY, "there is not enough memory for it")
        case SQLAlchemyError():
            log.warning("job %d waits: the database was away: %s", job.id, reason)
            jobs.wait(job, ErrorKind.MACHINE, "the database was away")
        case _:
            log.error("job %d", job.id, exc_info=error)
            jobs.again(job, ErrorKind.ERROR, f"{type(error).__name__}: {reason}")
