"""Watch all galleries, each by a process of its own, which is abandoned if its share hangs."""

import logging
import os
import selectors
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Event

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from daemon.supervising.python_command import python_command
from daemon.watching import pipe
from daemon.watching.recorder import note_gallery
from storage import database
from storage.database import galleries, processes
from storage.enums import CLASSIFY
from storage.settings import settings
from storage.text import command, printable

log = logging.getLogger(__name__)

TICK_SECONDS = 0.5
"""Pause between two checks of the gallery processes."""
LONGEST_PAUSE_SECONDS = 60.0
"""Longest pause before a process that hung or died is started again; it doubles up to this."""

LOOP_PAUSE_SECONDS = 4.0
"""A process that ends and would be started after a longer pause keeps ending."""

Notify = Callable[[str, int], object]
"""Notify a queue of a job; return False if Redis is unreachable."""


def watch(stop: Event, notify: Notify) -> None:
    """Watch the galleries of the settings until `stop` is set, and notify of each new photo."""
    engine = database.open_engine(settings().database)
    for name in galleries.leave(engine, settings().galleries):
        log.warning(
            "gallery %s is not in the settings any more, so its jobs wait; `%s` removes its records",
            printable(name), command("photomend", "forget", of=name),
        )  # fmt: skip
    children = [GalleryChild(name) for name in settings().galleries]
    heartbeats = Heartbeats(engine, children)
    with selectors.DefaultSelector() as selector:
        try:
            while not stop.is_set():
                for child in children:
                    child.supervise(selector, engine)
                heartbeats.send()
                if not selector.get_map():
                    stop.wait(TICK_SECONDS)
                    continue
                for key, _ in selector.select(TICK_SECONDS):
                    key.data.read(selector, notify)
        finally:
            for child in children:
                child.stop()
            for child in children:
                child.wait(settings().stop_seconds)
            heartbeats.end()
    engine.dispose()


class Heartbeats:
    """The heartbeats of this watcher, and of the gallery processes that it hears."""

    def __init__(self, engine: sa.Engine, children: list["GalleryChild"]) -> None:
        self._engine = engine
        self._children = children
        self._next = 0.0
        with suppress(SQLAlchemyError):
            processes.begin(engine, settings().worker_timeout_seconds)

    def send(self) -> None:
        """Send them, if the last ones are old enough."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + settings().heartbeat_seconds
        heard = [child for child in self._children if child.is_heard()]
        names = [processes.GALLERY + child.name for child in heard]
        try:
            processes.heartbeat(self._engine, processes.WATCHER, *names)
            for child in self._children:
                if child.trouble:
                    name = processes.GALLERY + child.name
                    processes.note_trouble(self._engine, name, child.trouble)
                    child.trouble = ""
        except SQLAlchemyError as error:
            log.warning("the database does not answer: %s", error)

    def end(self) -> None:
        """Remove the rows: this watcher ends as it was asked to."""
        names = [processes.GALLERY + child.name for child in self._children]
        with suppress(SQLAlchemyError):
            processes.remove(self._engine, [processes.WATCHER, *names])


class GalleryChild:
    """The process of one gallery, as the watcher sees it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.process: subprocess.Popen[bytes] | None = None
        self._last_output = time.monotonic()
        self._pause = 1.0
        self._next_start = 0.0
        self._unfinished_line = b""
        self._reason = ""
        self.trouble = ""
        """Why the process keeps ending, until that is recorded."""

    def is_heard(self) -> bool:
        """Return whether the process has written a line lately."""
        silent_seconds = time.monotonic() - self._last_output
        return self.process is not None and silent_seconds < settings().worker_timeout_seconds / 2

    def supervise(self, selector: selectors.BaseSelector, engine: sa.Engine) -> None:
        """Start the process if it is not running; abandon it if it hangs."""
        now = time.monotonic()
        if self.process is None:
            if now >= self._next_start:
                self._start(selector)
        elif now - self._last_output > settings().io_timeout_seconds:
            self._note_hanging(engine)
            self._abandon(selector)

    def read(self, selector: selectors.BaseSelector, notify: Notify) -> None:
        """Read the process's output and notify of new jobs; end of output means that it died."""
        assert self.process is not None and self.process.stdout is not None
        output = os.read(self.process.stdout.fileno(), 1 << 16)
        if not output:
            code = self._abandon(selector)
            reason = f"its process ended with code {code}"
            reason += f": {self._reason}" if self._reason else ""
            log.error("gallery %s: %s", self.name, reason)
            if self._pause > LOOP_PAUSE_SECONDS:
                self.trouble = reason
            return
        now = time.monotonic()
        if now - self._started > LONGEST_PAUSE_SECONDS:
            self._pause = 1.0
        self._last_output = now
        *lines, self._unfinished_line = (self._unfinished_line + output).split(b"\n")
        for line in lines:
            self._reason = pipe.reason(line) or self._reason
            _notify_all(notify, pipe.job_ids(line))

    def stop(self) -> None:
        """Ask the process to end by closing its stdin."""
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()

    def wait(self, seconds: float) -> None:
        """Wait for the process to end; kill it after `seconds`, or abandon it if it hangs."""
        if self.process is None:
            return
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(1)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _start(self, selector: selectors.BaseSelector) -> None:
        self.process = subprocess.Popen(
            python_command("daemon.watching.gallery_process", self.name), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, start_new_session=True,
            env=os.environ | settings().to_environment(),
        )  # fmt: skip
        assert self.process.stdout is not None
        selector.register(self.process.stdout, selectors.EVENT_READ, self)
        self._started = self._last_output = time.monotonic()
        self._unfinished_line, self._reason = b"", ""

    def _note_hanging(self, engine: sa.Engine) -> None:
        path = settings().gallery(self.name).path
        reason = (
            f"the folder {path} does not answer for {settings().io_timeout_seconds:.0f} s; is its server "
            f"there? Look: {command('findmnt', '-T', path)}; then: {command('umount', '-l', path)}"
        )
        log.warning("gallery %s is offline: %s", self.name, reason)
        try:
            note_gallery(engine, self.name, online=False, reason=reason)
        except SQLAlchemyError as error:
            log.warning("gallery %s: the database does not answer: %s", self.name, error)

    def _abandon(self, selector: selectors.BaseSelector) -> int | None:
        """Kill the process, without waiting long for its end; another one is started later.

        Return its exit code, None if it did not end.
        """
        process, self.process = self.process, None
        assert process is not None and process.stdout is not None and process.stdin is not None
        selector.unregister(process.stdout)
        process.kill()
        process.stdout.close()
        process.stdin.close()
        self._next_start = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
        try:
            return process.wait(1)
        except subprocess.TimeoutExpired:
            return None


def _notify_all(notify: Notify, job_ids: list[int]) -> None:
    """Notify of each job, until a notification is refused."""
    for job_id in job_ids:
        if notify(CLASSIFY, job_id) is False:
            return
