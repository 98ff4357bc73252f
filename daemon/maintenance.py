"""Release jobs of lost workers, renew notifications, finish what ended processes left, and send messages."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Event, Thread

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from daemon import deleted_photos, owners_word, rejections
from daemon.library_apps import rounds
from daemon.messages.messenger import Messenger
from daemon.messages.sensors import Sensors
from storage import preview_files, preview_requests, publishing, trash, waiting_results
from storage.database import counts, processes, reviews, search, status
from storage.database.jobs import Jobs
from storage.enums import PREVIEWS, QUEUES
from storage.errors import DatabaseGone
from storage.settings import settings
from storage.text import printable
from tasks.worker import notify

log = logging.getLogger(__name__)

SWEEP_SECONDS = 60.0
"""Pause between two sweeps of the previews and of results that waited."""
CLEANUP_SECONDS = 3600.0
"""Pause between two cleanups of the output folders."""
MESSAGE_ROUNDS = 6
"""Rounds of maintenance from one round of messages to the next."""


def run(jobs: Jobs, stop: Event) -> None:
    """Do the maintenance until `stop` is set; several processes may do it at the same time."""
    clocks, sensors = Clocks(), Sensors(jobs.engine, settings().mqtt)
    message_seconds = MESSAGE_ROUNDS * settings().maintenance_seconds
    beside = [
        Beside("sweep", SWEEP_SECONDS, partial(sweep, jobs)),
        Beside("moves", SWEEP_SECONDS, partial(go_on, jobs)),
        Beside("cleanup", CLEANUP_SECONDS, partial(clean_up, jobs)),
        Beside("messages", message_seconds, Messenger(jobs.engine).work),
        Beside("sensors", message_seconds, sensors.work),
    ]
    rounds.start(jobs, stop)
    try:
        while not stop.wait(settings().maintenance_seconds):
            present = time.monotonic()
            try:
                processes.heartbeat(jobs.engine, processes.MAINTENANCE)
                if clocks.run_evenly(status.clock(jobs.engine), present):
                    release(jobs)
                renew_notifications(jobs)
                renew_requests()
                counts.fold(jobs.engine)
            except (SQLAlchemyError, RedisError) as error:
                log.warning("maintenance failed and is retried: %s", error)
            except DatabaseGone as error:  # the watcher ends, too
                return log.error("maintenance: %s", error)
            for work in beside:
                work.start(present)
    finally:
        stop.set()  # the watcher must not run without maintenance
        sensors.end()
        with suppress(SQLAlchemyError, DatabaseGone):
            processes.remove(jobs.engine, [processes.MAINTENANCE])


class Beside:
    """Work in a thread, which the process can abandon if a share or another machine hangs."""

    def __init__(self, name: str, pause_seconds: float, work: Callable[[], None]) -> None:
        self._name = name
        self._pause_seconds = pause_seconds
        self._work = work
        self._thread = Thread()
        self._next = 0.0

    def start(self, present: float) -> None:
        """Start the work if its pause is over and it has ended."""
        if present >= self._next and not self._thread.is_alive():
            self._thread = Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
            self._next = present + self._pause_seconds


class Clocks:
    """The database's clock beside the time since boot, from one round to the next."""

    def __init__(self) -> None:
        self._last: tuple[float, float] | None = None
        self._uneven_until = 0.0

    def run_evenly(self, clock: float, uptime: float) -> bool:
        """Return whether silence may be judged.

        It may not after a suspend, a step of a clock or a late round, until every worker had the
        time to send a heartbeat.
        """
        timeout = settings().worker_timeout_seconds
        last_clock, last_uptime = self._last or (clock, uptime)
        self._last = clock, uptime
        passed = uptime - last_uptime
        step = abs(clock - last_clock - passed)
        if step > timeout / 2 or passed > settings().maintenance_seconds + timeout / 2:
            log.warning("the clock or this process stopped or jumped; workers get %.0f s", timeout)
            self._uneven_until = uptime + timeout
        return uptime >= self._uneven_until


def release(jobs: Jobs) -> None:
    """Queue the jobs of lost workers again."""
    for job in jobs.release_lost(settings().worker_timeout_seconds):
        log.warning("job %d: %s, %s after %d attempts", job.id, job.error, job.status, job.attempts)


def renew_notifications(jobs: Jobs) -> None:
    """Send notifications until each due job has one, or the queue has its maximum number."""
    for queue in QUEUES:
        due = search.due(jobs.engine, queue, settings().max_pending_notifications)
        for job_id in due[notify.waiting(queue) :] if due else []:
            if not notify.send(queue, job_id):
                return


def renew_requests() -> None:
    """Notify workers of previews that the page asked for, if no notification of any waits."""
    wanted = preview_requests.waiting(settings().state_dir)
    if wanted and not notify.waiting(PREVIEWS):
        for job_id in wanted:
            if not notify.send(PREVIEWS, job_id):
                return


def sweep_previews() -> None:
    """Remove the oldest previews if all together take too much room, and old requests for some."""
    try:
        preview_requests.sweep(settings().state_dir)
        preview_files.sweep(settings().state_dir, settings().previews_megabytes * 1_000_000)
    except OSError as error:
        log.warning("previews cannot be removed: %s", error)


def sweep(jobs: Jobs) -> None:
    """Remove pictures and results of the state folder that nobody will look at."""
    sweep_previews()
    sweep_waiting_results(jobs)


def sweep_waiting_results(jobs: Jobs) -> None:
    """Remove results in the state folder that nobody will look at: published, or rejected long ago.

    The files are listed before the jobs are read, so each belongs to a state of its job.
    """
    try:
        listed = waiting_results.listed(settings().state_dir)
        needed = reviews.waiting(jobs.engine, listed, settings().trash_days) if listed else set()
        for job_id, file in listed.items():
            if job_id not in needed:
                file.unlink(missing_ok=True)
    except (OSError, SQLAlchemyError, DatabaseGone) as error:
        log.warning("results that waited cannot be removed: %s", error)


def go_on(jobs: Jobs) -> None:
    """Make the moves to the trash and back: those that ended processes began, and of deleted photos."""
    try:
        rejections.go_on(jobs.engine)
        deleted_photos.work(jobs.engine)
    except (SQLAlchemyError, DatabaseGone) as error:
        log.warning("results that were being moved are looked at later: %s", error)


def write_owners_word(jobs: Jobs) -> None:
    """Write what the owner said of photos beside the results, where that could not be done at once."""
    for name, gallery in settings().galleries.items():
        try:
            owners_word.write(jobs.engine, name, gallery)
        except (OSError, SQLAlchemyError, DatabaseGone) as error:
            text = "gallery %s: your word on its photos is written beside the results later: %s"
            log.warning(text, printable(name), printable(error))


def clean_up(jobs: Jobs) -> None:
    """Remove temporary files of claims that have ended, results that were put aside, and old trash.

    The files are listed before the claims are read, so no file of a newer claim is among them.
    """
    write_owners_word(jobs)
    for gallery in settings().galleries.values():
        try:
            listed = list(publishing.temporaries(gallery.output_root))
            claims = search.claims(jobs.engine) if listed else set()
            for file, claim in listed:
                if claim not in claims:
                    file.unlink()
            for file, ours in publishing.put_aside(gallery.output_root):
                if ours:
                    file.unlink()
                else:
                    log.warning(
                        "%s was changed by its owner while its worker died, and is kept; give it "
                        "its name again, or remove it", file
                    )  # fmt: skip
            for file in trash.empty(gallery.output_root, settings().trash_days):
                log.warning(
                    "%s is not a result as it was rejected, and is kept; move it away", file
                )
        except (OSError, SQLAlchemyError, DatabaseGone) as error:
            folder = printable(gallery.output_root)
            log.warning("temporary files in %s cannot be removed: %s", folder, error)
