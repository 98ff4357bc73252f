"""Work on follow-ups, each app in a thread of its own, until all is told; an app may be away for days."""

import logging
import random
import time
from collections.abc import Collection
from threading import Event, Thread

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from daemon.library_apps.errors import NotThere, Refused, Trouble, Unmapped
from daemon.library_apps.immich import ImmichApp
from daemon.library_apps.photoprism import PhotoprismApp
from daemon.library_apps.told import App
from storage.database import followups
from storage.database.jobs import Jobs
from storage.database.records import Followup
from storage.errors import DatabaseGone
from storage.settings import settings
from storage.text import printable

log = logging.getLogger(__name__)

LONGEST_TROUBLE_SECONDS = 600.0
"""Longest pause of an app that is away, or whose key is wrong."""
PATIENCE_SECONDS = 86400.0
"""Age at which a follow-up that waits is told to the owner: immich scans once a day."""
GIVE_UP_SECONDS = 30 * 86400.0
"""Age at which a follow-up that waits is given up."""
JITTER = 0.2
"""Largest part by which a pause is shortened, so that not all follow-ups are due at once."""


def start(jobs: Jobs, stop: Event) -> None:
    """Start a thread for each app of the settings; the process does not wait for its end."""
    for app in apps():
        work = Rounds(app, jobs.engine)
        Thread(target=work.run, args=(stop,), name=app.name, daemon=True).start()


def apps() -> list[App]:
    """Return the apps of the settings."""
    known = settings()
    found: list[App] = [ImmichApp(known.immich)] if known.immich.url else []
    return found + ([PhotoprismApp(known.photoprism)] if known.photoprism.url else [])


class Rounds:
    """The follow-ups of one app, worked on one after the other."""

    def __init__(self, app: App, engine: sa.Engine) -> None:
        self._app, self._engine = app, engine
        self._troubles = 0
        """Number of troubles since the app was last told something."""
        self._resumes_at = 0.0
        """Nothing is tried before (monotonic seconds)."""
        self._said: set[str] = set()
        """Sentences for the owner that were logged; a trouble is forgotten when it is over."""

    def run(self, stop: Event) -> None:
        """Work on what is due until `stop` is set."""
        while not stop.wait(settings().maintenance_seconds):
            try:
                while not stop.is_set() and self.turn(list(settings().galleries)):
                    pass
            except SQLAlchemyError as error:
                log.warning("%s: follow-ups are tried again later: %s", self._app.name, error)
            except DatabaseGone:  # maintenance ends the process
                return
            except Exception:  # what no server may cause; the others go on
                log.exception("%s: a follow-up ended with an error", self._app.name)

    def turn(self, galleries: Collection[str]) -> bool:
        """Work on the follow-up that is due for the longest time; return whether another may follow."""
        if time.monotonic() < self._resumes_at:
            return False
        taken = followups.take(self._engine, self._app.name, galleries)
        if taken is None:
            return False
        try:
            self._tell(taken)
        except Trouble as trouble:
            self._note_trouble(taken, str(trouble))
            return False
        except (NotThere, Refused) as error:
            self._wait(taken, str(error))
        self._end_trouble()
        return True

    def _tell(self, taken: Followup) -> None:
        job = followups.job_of(self._engine, taken)
        gallery = settings().galleries.get(taken.gallery)
        if job is None or gallery is None:
            return followups.drop(self._engine, taken)
        try:
            told = self._app.tell(taken, job, gallery)
        except Unmapped as error:
            log.info("job %d: %s", job.id, error)
            return followups.drop(self._engine, taken)
        followups.finish(self._engine, taken, told.event, told.known)
        if told.event:
            log.info("job %d: %s", job.id, told.event)
        return None

    def _wait(self, taken: Followup, error: str) -> None:
        """Let one follow-up wait, longer each time; the owner is told once that some wait for long."""
        age = time.time() - taken.since
        if age > GIVE_UP_SECONDS:
            followups.drop(self._engine, taken)
            return log.warning("job %d is given up after 30 days: %s", taken.job_id, error)
        followups.postpone(self._engine, taken, error, pause(taken.attempts))
        if age > PATIENCE_SECONDS and "long" not in self._said:
            self._said.add("long")
            log.warning(
                "job %d has waited for more than a day: %s; `photomend immich check` may find why, "
                "and `photomend status` counts all that wait", taken.job_id, error
            )  # fmt: skip
        return None

    def _note_trouble(self, taken: Followup, trouble: str) -> None:
        """Let all follow-ups of the app wait, longer each time; the owner is told once."""
        seconds = pause(self._troubles, LONGEST_TROUBLE_SECONDS)
        self._troubles += 1
        self._resumes_at = time.monotonic() + seconds
        followups.postpone(self._engine, taken, trouble, seconds)
        if trouble not in self._said:
            self._said.add(trouble)
            log.warning("%s; results wait for it, and everything else goes on", printable(trouble))

    def _end_trouble(self) -> None:
        if self._troubles:
            log.info("%s answers again", self._app.name)
            self._said &= {"long"}
        self._troubles = 0


def pause(times: int, longest: float = followups.LONGEST_PAUSE_SECONDS) -> float:
    """Return the seconds until the next try: `retry_pause_seconds`, twice as long each time."""
    seconds = min(settings().retry_pause_seconds * 2.0 ** min(times, 20), longest)
    return seconds * (1 - JITTER * random.random())
