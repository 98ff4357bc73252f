"""The parent's thread: record heartbeats, and end claims that its child cannot end.

Celery's loop waits for Redis. While Redis is unreachable it notices neither a deadline nor a dead
child. This thread needs only the database.
"""

import logging
import os
import signal
import time
from contextlib import suppress
from threading import Event, Thread
from types import FrameType
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from storage import preview_requests
from storage.database import holds, search, workers
from storage.database.jobs import Jobs
from storage.database.records import Job
from storage.enums import ErrorKind, Status
from storage.errors import ClaimLost, DatabaseGone
from storage.settings import settings
from tasks.worker import runtime
from tasks.worker.children import LIMIT, Children
from tasks.worker.delivery import Delivery

log = logging.getLogger(__name__)
_now, _stopping, _hangup_ignored = Event(), Event(), Event()

_crashed: list[int] = []
"""Jobs with which a child died, since the last pause."""

Stage = tuple[int, int, float | None]
"""A claim since its last progress: each begins the time to the deadline anew."""
EXIT_SECONDS = 8.0
"""Seconds after `stop_seconds` in which Celery may stop the worker; then this thread ends it."""


def start(**_: object) -> None:
    """Start the thread; Celery calls this in the parent, when the worker is ready."""
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        _note_stop(name)
    hangup = signal.SIG_IGN if _hangup_ignored.is_set() else signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGHUP, hangup)  # Celery's own handler would start the program again
    Thread(target=_run, name="heartbeat", daemon=True).start()


def note_nohup() -> None:
    """Note whether this process must ignore SIGHUP, before Celery replaces the handler."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        _hangup_ignored.set()


def record() -> None:
    """Record that this worker lives; it must do so before its first claim, which would look lost."""
    name, host = runtime.worker(), os.uname().nodename
    engine, serving = runtime.jobs().engine, runtime.queues()
    workers.heartbeat(engine, name, host, os.getpid(), serving, runtime.device())


def check_now(**_: object) -> None:
    """Check the child at once; Celery calls this when the child has died."""
    _now.set()


def end_claims() -> None:
    """Queue the jobs that a stopped worker still holds, without counting an attempt."""
    _stopping.set()
    with suppress(SQLAlchemyError, DatabaseGone):  # maintenance does it later
        for job in search.held(runtime.jobs().engine, runtime.worker()):
            _check(runtime.jobs(), job, seconds=0.0)
        workers.remove(runtime.jobs().engine, runtime.worker())


def _run() -> None:
    jobs, begun, stopped_at = runtime.jobs(), dict[Stage, float](), 0.0
    delivery, children = Delivery(), Children()
    while True:
        present = time.monotonic()
        stopped_at = stopped_at or (present if _stopping.is_set() else 0.0)
        try:
            record()
            held = search.held(jobs.engine, runtime.worker())
            begun = {_stage(job): begun.get(_stage(job), present) for job in held}
            if not stopped_at and delivery.has_stopped(working=bool(held) or _draws()):
                _end("Redis has notifications that this worker does not get")
            for job in held:
                if stopped_at and present - stopped_at > settings().stop_seconds:
                    _give_back(jobs, job)
                else:
                    _check(jobs, job, seconds=present - begun[_stage(job)])
            if children.keep_dying() and _crashed:
                _back_off(children)
        except DatabaseGone as error:
            _end(str(error))
        except SQLAlchemyError as error:
            log.warning("the database does not answer: %s", error)
        if stopped_at and present - stopped_at > settings().stop_seconds + EXIT_SECONDS:
            end_claims()
            os._exit(0)  # Celery still waits for an unreachable Redis
        _now.wait(
            min(settings().heartbeat_seconds, 1.0) if stopped_at else settings().heartbeat_seconds
        )
        _now.clear()


def _draws() -> bool:
    """Return whether a child may draw previews, which is no claim."""
    return preview_requests.is_any_drawn(settings().state_dir)


def _end(reason: str) -> None:
    """End this worker; systemd, or `photomend up`, starts another one."""
    log.error("this worker ends: %s", reason)
    end_claims()
    os._exit(1)


def _back_off(children: Children) -> None:
    """Claim nothing for a growing time; Celery ends a worker whose children cannot even start."""
    often = f"its child process was started more than {LIMIT} times in a minute"
    trouble = f"{often}; the last one died with job {_crashed[-1]}"
    log.error("%s; jobs wait and are tried again one by one", trouble)
    _hold_all(trouble)
    _crashed.clear()
    children.forget()


def _hold_all(trouble: str) -> None:
    pause = settings().retry_pause_seconds
    engine, worker, queues = runtime.jobs().engine, runtime.worker(), runtime.queues()
    holds.hold(engine, worker, queues, ErrorKind.CRASHED, trouble, least_seconds=pause)


def _note_crash(job: Job) -> None:
    """Note that a child died with a job; a trial after others had died ends a pause without success."""
    _crashed.append(job.id)
    hold = holds.of(runtime.jobs().engine, runtime.worker())
    if hold is not None and hold.kind is ErrorKind.CRASHED:
        _hold_all(f"the child process keeps dying; the last one died with job {job.id}")


def _stage(job: Job) -> Stage:
    return job.id, job.claims, job.progress_at


def _check(jobs: Jobs, job: Job, seconds: float) -> None:
    """End the claim if it must end, then the child; in this order, so that the reason is recorded."""
    assert job.child is not None
    with suppress(ClaimLost):  # the child ended the claim meanwhile
        if job.status is Status.CANCELLED:
            _kill(job)
            jobs.release_cancelled(job)
        elif not _is_alive(job.child):
            if _stopping.is_set():
                _wait(jobs, job)
            else:
                jobs.end_with_error(job, ErrorKind.CRASHED, "the process that worked on it died")
                _note_crash(job)
        elif job.deadline_seconds is not None and seconds > job.deadline_seconds:
            limit = f"it took longer than {job.deadline_seconds:.0f} s"
            jobs.end_with_error(job, ErrorKind.DEADLINE, limit)
            _kill(job)


def _give_back(jobs: Jobs, job: Job) -> None:
    """End the claim of a worker that was stopped and has no more time."""
    with suppress(ClaimLost):
        _wait(jobs, job)
        _kill(job)


def _wait(jobs: Jobs, job: Job) -> None:
    """End the claim of a worker that is being stopped; another may have the job at once."""
    jobs.end_with_error(job, ErrorKind.STOPPED, "the worker was stopped", pause_seconds=0.0)


def _is_alive(child: int) -> bool:
    """Return whether `child` is a child of this process that has not ended, reaped or not."""
    try:
        return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False


def _kill(job: Job) -> None:
    assert job.child is not None
    log.warning("job %d: killing process %d", job.id, job.child)
    if _is_alive(job.child):
        os.kill(job.child, signal.SIGKILL)


def _note_stop(name: signal.Signals) -> None:
    """Set `_stopping` at a signal, before Celery's own handler ends the child."""
    celerys: Any = signal.getsignal(name)

    def stop(number: int, frame: FrameType | None) -> None:
        _stopping.set()
        _now.set()
        celerys(number, frame)

    signal.signal(name, stop)
