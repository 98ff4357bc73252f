"""The processes that `photomend up` starts: started again when they end, and stopped in order.

Each runs in a session of its own. Their ids are in a file, so that the next `up` can stop what a
killed one left running.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from daemon.console.output import span
from storage import atomic_files, private_files
from storage.text import printable

FIRST_PAUSE_SECONDS = 0.5
"""Half the pause before the first restart; each restart doubles the pause."""
MAX_PAUSE_SECONDS = 60.0
"""Longest pause before a restart."""
LOOP_PAUSE_SECONDS = 3.0
"""A process with a longer pause before its next start keeps ending: it ended three times or more."""
STABLE_SECONDS = 60.0
"""A process that ran for longer is restarted after FIRST_PAUSE_SECONDS."""
LAST_LINE_BYTES = 4000
"""Number of bytes at the end of a log in which its last line is searched."""
MAX_LOG_BYTES = 5_000_000
"""A longer log is moved to `.old`, also while its process runs."""

Start = Callable[[IO[bytes]], subprocess.Popen[bytes]]


@dataclass
class SupervisedProcess:
    """A process that is started again when it ends."""

    name: str
    start: Start
    log: Path
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    log_start: int = 0
    """Position in the log at which the output of the current process begins."""
    pause_seconds: float = FIRST_PAUSE_SECONDS
    next_start: float = 0.0

    def ensure_running(self) -> str | None:
        """Start the process unless it runs or pauses; return a sentence if it has just ended."""
        now = time.monotonic()
        if self.process is not None and not self.is_running():
            return self._schedule_restart(self.process.returncode, now)
        self._bound_log()
        if self.process is None and now >= self.next_start:
            with self._open_log() as log:
                self.log_start = log.tell()
                self.process = self.start(log)
            self.started_at = now
        return None

    def _open_log(self) -> IO[bytes]:
        """Open the log; without one if its disk is full."""
        try:
            private_files.make_folder(self.log.parent)
            return private_files.open_file(self.log)
        except OSError:
            return Path(os.devnull).open("ab")

    def _bound_log(self) -> None:
        """Copy a log that is too long to `.old` and empty it; its process appends to it."""
        if self.log.exists() and self.log.stat().st_size > MAX_LOG_BYTES:
            with suppress(OSError):  # on a full disk the lines are lost
                old = private_files.open_file(self.log.with_suffix(".old"), "wb")
                with old, self.log.open("rb") as log:
                    shutil.copyfileobj(log, old)
            os.truncate(self.log, 0)
            self.log_start = 0

    def _schedule_restart(self, code: int, now: float) -> str:
        self.process = None
        stable = now - self.started_at > STABLE_SECONDS
        self.pause_seconds = (
            FIRST_PAUSE_SECONDS if stable else min(2 * self.pause_seconds, MAX_PAUSE_SECONDS)
        )
        self.next_start = now + self.pause_seconds
        sentence = (
            f"{self.name} ended with code {code} and is started again in {span(self.pause_seconds)}"
        )
        line = self.last_line()
        return f"{sentence}; last line of its log: {line}" if line else sentence

    def keeps_ending(self) -> bool:
        """Return whether it ended soon after its start again and again."""
        return self.pause_seconds > LOOP_PAUSE_SECONDS

    def last_line(self) -> str:
        """Return the last line that the process wrote into its log, "" if it wrote none."""
        lines: list[str] = []
        with suppress(OSError), self.log.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self.log_start, end - LAST_LINE_BYTES))
            lines = log.read(LAST_LINE_BYTES).decode(errors="replace").split("\n")
        return next((printable(line.strip()) for line in reversed(lines) if line.strip()), "")

    def is_running(self) -> bool:
        """Return whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def stop(self, seconds: float) -> None:
        """Send SIGTERM to the process, wait for its end, and kill it after `seconds`."""
        self.terminate()
        self.wait(seconds)

    def terminate(self) -> None:
        """Send SIGTERM to the process if it runs."""
        if self.process is not None and self.is_running():
            self.process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float) -> None:
        """Wait for the end of the process, and kill it after `seconds`."""
        if self.process is not None:
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@dataclass
class ProcessFile:
    """The file with the ids and start times of the processes of a `photomend up`."""

    path: Path
    written: list[list[float]] = field(default_factory=list)
    """The content that was last written."""

    def write(self, processes: list[SupervisedProcess]) -> None:
        """Write which processes run, if that has changed."""
        running = [
            [float(each.process.pid), created_at]
            for each in processes
            if each.process is not None and (created_at := _created_at(each.process.pid))
        ]
        if running != self.written:
            atomic_files.write(self.path, json.dumps(running).encode())
            self.written = running

    def stop_leftovers(self, seconds: float) -> int:
        """Stop the processes of an earlier `up`, and kill them after `seconds`; return their number.

        All their child processes are killed.
        """
        atomic_files.remove_drafts(self.path)
        try:
            recorded = json.loads(self.path.read_text())
        except (FileNotFoundError, ValueError):
            return 0
        leftovers = [
            process
            for pid, created_at in recorded
            if _created_at(int(pid)) == created_at and (process := _process(int(pid)))
        ]
        trees = {child for process in leftovers for child in _children(process)} | set(leftovers)
        for process in leftovers:
            _send(process, signal.SIGTERM)
        _, alive = psutil.wait_procs(leftovers, timeout=seconds)
        for process in [*alive, *trees]:
            _send(process, signal.SIGKILL)
        psutil.wait_procs(trees, timeout=5)
        self.path.unlink(missing_ok=True)
        return len(leftovers)


def _created_at(pid: int) -> float | None:
    process = _process(pid)
    try:
        return None if process is None else float(process.create_time())
    except psutil.NoSuchProcess:
        return None


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
