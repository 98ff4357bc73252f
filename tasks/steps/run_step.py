"""What a bell starts: somebody rang, so take the next step of the most urgent job."""

import logging
import time

from sqlalchemy.exc import SQLAlchemyError

from storage.database.records import Job
from storage.enums import Decision, ErrorKind
from storage.errors import ClaimLost
from tasks.steps import failures, paths
from tasks.steps.classify import classify
from tasks.steps.restore import restore
from tasks.worker import idle, runtime
from tasks.worker.app import app

log = logging.getLogger(__name__)

RECORD_TRIES = 10
"""So often, with two seconds between, the end of a claim is written to a database that is away."""


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
    """End the claim as the retry policy asks for."""
    jobs, reason = runtime.jobs(), failures.text(error)
    if isinstance(error, FileNotFoundError) and paths.source_gone(jobs, job):
        log.info("job %d is cancelled: its source is gone", job.id)
        return jobs.drop(job, "its source is gone")
    rule = failures.rule_of(error)
    sentence = rule.sentence(error)
    if isinstance(rule.ends, Decision):
        log.warning("job %d is %s: %s", job.id, rule.ends, sentence)
        return jobs.finish(job, rule.ends, sentence)
    kind = rule.ends
    if rule.while_young is not None and paths.too_young(job):
        kind = rule.while_young
    level, words = failures.logged(kind)
    told = sentence if reason in sentence else f"{sentence}: {reason}"
    traceback = error if kind is ErrorKind.ERROR else None
    log.log(level, "job %d %s: %s", job.id, words, told, exc_info=traceback)
    return jobs.end_with_error(job, kind, sentence)
