"""Watch all galleries, each in a process of its own that can be left behind when its share hangs."""

import logging
import os
import selectors
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Event
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from daemon.supervising import children
from storage.database.jobs import Jobs
from storage.enums import CLASSIFY
from storage.settings import settings

log = logging.getLogger(__name__)

TICK_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 60.0
"""A process that hung or died is started again after a pause that grows to this."""

Ring = Callable[[str, int], object]
"""Rings a queue for a job; False if nobody would hear the next one either."""


def watch(stop: Event, ring: Ring) -> None:
    """Watch the galleries of the settings until `stop` is set, and ring for each new photo."""
    jobs = Jobs.at(settings().database)
    posts = [Post(name) for name in settings().galleries]
    with selectors.DefaultSelector() as ears:
        try:
            while not stop.is_set():
                for post in posts:
                    post.care(ears, jobs)
                if not ears.get_map():
                    stop.wait(TICK_SECONDS)
                    continue
                for key, _ in ears.select(TICK_SECONDS):
                    key.data.hear(ears, ring)
        finally:
            for post in posts:
                post.call_off()
            for post in posts:
                post.end(settings().stop_seconds)
    jobs.engine.dispose()


class Post:
    """A gallery and the process that looks at it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.process: subprocess.Popen[bytes] | None = None
        self._heard = time.monotonic()
        self._pause = 1.0
        self._next_start = 0.0
        self._left = b""

    def care(self, ears: selectors.BaseSelector, jobs: Jobs) -> None:
        """Start the process if there is none, and give it up if it hangs."""
        now = time.monotonic()
        if self.process is None:
            if now >= self._next_start:
                self._start(ears)
        elif now - self._heard > settings().hang_seconds:
            self._give_up(ears, jobs)

    def hear(self, ears: selectors.BaseSelector, ring: Ring) -> None:
        """Take what the process said; nothing more comes from one that died."""
        assert self.process is not None and self.process.stdout is not None
        said = os.read(self.process.stdout.fileno(), 1 << 16)
        if not said:
            code = self._forget(ears)
            log.error("gallery %s: its process ended with code %s", self.name, code)
            return
        now = time.monotonic()
        if now - self._started > LONGEST_PAUSE_SECONDS:
            self._pause = 1.0
        self._heard = now
        *lines, self._left = (self._left + said).split(b"\n")
        for line in lines:
            word, *numbers = line.split()
            if word == b"added":
                _ring_all(ring, list(map(int, numbers)))

    def call_off(self) -> None:
        """Let the process end."""
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()

    def end(self, seconds: float) -> None:
        """Wait for its end, and kill or leave behind what does not end."""
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

    def _start(self, ears: selectors.BaseSelector) -> None:
        self.process = subprocess.Popen(
            children.command("daemon.watching.gallery_process", self.name), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, start_new_session=True,
            env=os.environ | settings().to_environment(),
        )  # fmt: skip
        assert self.process.stdout is not None
        ears.register(self.process.stdout, selectors.EVENT_READ, self)
        self._started = self._heard = time.monotonic()
        self._left = b""

    def _give_up(self, ears: selectors.BaseSelector, jobs: Jobs) -> None:
        path = settings().gallery(self.name).path
        reason = (
            f"the folder {path} does not answer for {settings().hang_seconds:.0f} s; is its server "
            f"there? Look: findmnt -T {path}; then: umount -l"
        )
        log.warning("gallery %s is offline: %s", self.name, reason)
        try:
            note(jobs, self.name, online=False, reason=reason)
        except SQLAlchemyError as error:
            log.warning("gallery %s: the database does not answer: %s", self.name, error)
        self._forget(ears)

    def _forget(self, ears: selectors.BaseSelector) -> int | None:
        """Kill the process, leave it behind if that does not help, and start another later."""
        process, self.process = self.process, None
        assert process is not None and process.stdout is not None and process.stdin is not None
        ears.unregister(process.stdout)
        process.kill()
        process.stdout.close()
        process.stdin.close()
        self._next_start = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
        try:
            return process.wait(1)
        except subprocess.TimeoutExpired:
            return None


def note(jobs: Jobs, name: str, **columns: Any) -> None:
    """Note what was found of a gallery, with what the settings say of it."""
    gallery = settings().gallery(name)
    if jobs.gallery(name) is None:
        columns = {"filesystem": "unknown", "watching": "not yet"} | columns
    jobs.note_gallery(
        name, host=socket.gethostname(), root=gallery.path, output=gallery.output_root, **columns
    )


def _ring_all(ring: Ring, job_ids: list[int]) -> None:
    for job_id in job_ids:
        if ring(CLASSIFY, job_id) is False:
            return
