"""Put right what died: release lost claims, ring for what waits, sweep what nobody will publish."""

import logging
import time
from threading import Event, Thread

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from storage import publishing
from storage.database.jobs import Jobs
from storage.enums import QUEUES
from storage.settings import settings
from storage.text import printable
from tasks.worker import notify

log = logging.getLogger(__name__)

SWEEP_SECONDS = 3600.0
"""Pause between two sweeps of the output trees."""


def keep(jobs: Jobs, stop: Event) -> None:
    """Keep house until `stop` is set; any number of keepers may do so at once."""
    last, next_sweep = time.monotonic(), 0.0
    sweeper = Thread()
    try:
        while not stop.wait(settings().keep_seconds):
            present = time.monotonic()
            late = present - last > settings().keep_seconds + settings().lost_seconds / 2
            last = present
            try:
                if not late:  # after a suspend, workers may beat once before they are judged
                    release(jobs)
                top_up(jobs)
            except (SQLAlchemyError, OperationalError, RedisError) as error:
                log.warning("the keeper tries again: %s", error)
            if present >= next_sweep and not sweeper.is_alive():
                # A share can hang, so in a thread that can be left behind.
                sweeper = Thread(target=sweep, args=(jobs,), name="sweep", daemon=True)
                sweeper.start()
                next_sweep = present + SWEEP_SECONDS
    finally:
        stop.set()  # a keeper that died must not leave a watcher that looks alive


def release(jobs: Jobs) -> None:
    """Queue again what lost workers held."""
    for job in jobs.release_lost(settings().lost_seconds):
        log.warning("job %d: %s, %s after %d attempts", job.id, job.error, job.status, job.attempts)


def top_up(jobs: Jobs) -> None:
    """Ring until as many bells wait as jobs, or the window is full."""
    for queue in QUEUES:
        due = jobs.due(queue, settings().window)
        for job_id in due[notify.waiting(queue) :] if due else []:
            if not notify.ring(queue, job_id):
                return


def sweep(jobs: Jobs) -> None:
    """Remove the temporary files of claims that have ended; list first, so that none is new."""
    for gallery in settings().galleries.values():
        try:
            listed = list(publishing.temporaries(gallery.output_root))
            claimed = jobs.claimed() if listed else set()
            for path, claim in listed:
                if claim not in claimed:
                    path.unlink(missing_ok=True)
        except (OSError, SQLAlchemyError) as error:
            log.warning("%s cannot be swept: %s", printable(gallery.output_root), error)
