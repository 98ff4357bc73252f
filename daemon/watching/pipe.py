"""The lines that a gallery process writes to the watcher: heartbeats, ids of new jobs, its end."""

import os
import sys
import time
from collections.abc import Iterable
from contextlib import suppress

from storage.settings import settings
from storage.text import printable

_ALIVE = b"alive"
_ADDED = b"added"
_ENDS = b"ends "

HEARTBEAT_SECONDS = 1.0
"""Shortest pause between two heartbeats of a gallery process."""


class Pipe:
    """The pipe from this gallery process to the watcher: its stdout."""

    def __init__(self) -> None:
        self._next_heartbeat = 0.0

    def heartbeat(self) -> None:
        """Write that this process gets on, if the last line is old enough; it costs next to nothing."""
        if time.monotonic() >= self._next_heartbeat:
            self._write(_ALIVE)

    def added(self, job_ids: Iterable[int]) -> None:
        """Write the ids of new jobs."""
        self._write(b" ".join([_ADDED, *(b"%d" % job_id for job_id in job_ids)]))

    def ends(self, reason: str) -> None:
        """Write why this process ends."""
        self._write(_ENDS + printable(reason).encode())

    def _write(self, line: bytes) -> None:
        pause = min(HEARTBEAT_SECONDS, settings().io_timeout_seconds / 4)
        self._next_heartbeat = time.monotonic() + pause
        with suppress(BrokenPipeError):  # the watcher died; the end of stdin ends this process
            os.write(sys.stdout.fileno(), line + b"\n")


def job_ids(line: bytes) -> list[int]:
    """Return the ids of new jobs in a line that was read; a heartbeat has none."""
    word, *numbers = line.split()
    return list(map(int, numbers)) if word == _ADDED else []


def reason(line: bytes) -> str:
    """Return why the process ends, "" if the line does not say that."""
    return line.removeprefix(_ENDS).decode() if line.startswith(_ENDS) else ""
