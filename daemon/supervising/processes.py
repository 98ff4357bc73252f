"""The processes that `photomend up` starts: kept alive, written down, ended in order.

Each runs in a session of its own. Their ids are written down, so that the next `up` can end what
is left of one that was killed.
"""

import json
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from daemon.console.output import span
from storage import atomic_files
from storage.text import printable

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 60.0
"""A process that dies soon is started again after a pause that doubles from the first to this."""
STEADY_SECONDS = 60.0
"""After a life of so many seconds the first pause is taken again."""
LINE_BYTES = 4000
"""So much of the end of a log is searched for its last line."""
LOG_BYTES = 5_000_000
"""A log that is longer is put aside at the next start."""

Start = Callable[[IO[bytes]], subprocess.Popen[bytes]]


@dataclass
class Member:
    """One process, started again when it dies."""

    name: str
    start: Start
    log: Path
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    log_start: int = 0
    pause: float = FIRST_PAUSE_SECONDS
    next_start: float = 0.0

    def care(self) -> str | None:
        """Start the process if it does not run; return what happened, None if nothing did."""
        now = time.monotonic()
        if self.process is not None and self.process.poll() is not None:
            code, self.process = self.process.returncode, None
            steady = now - self.started > STEADY_SECONDS
            self.pause = (
                FIRST_PAUSE_SECONDS if steady else min(2 * self.pause, LONGEST_PAUSE_SECONDS)
            )
            self.next_start = now + self.pause
            told = f"{self.name} ended with code {code} and is started again in {span(self.pause)}"
            return f"{told}; it wrote last: {line}" if (line := self.last_line()) else told
        if self.process is None and now >= self.next_start:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
                self.log.replace(self.log.with_suffix(".old"))
            with self.log.open("ab") as log:
                self.log_start = log.tell()
                self.process = self.start(log)
            self.started = now
        return None

    def last_line(self) -> str:
        """Return the last line that the process wrote into its log, "" if it wrote none."""
        with self.log.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self.log_start, end - LINE_BYTES))
            lines = log.read().decode(errors="replace").split("\n")
        return next((printable(line.strip()) for line in reversed(lines) if line.strip()), "")

    def lives(self) -> bool:
        """Return whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def end(self, seconds: float) -> None:
        """Ask the process to stop and kill it if it has not after `seconds`."""
        self.ask()
        self.wait(seconds)

    def ask(self) -> None:
        """Ask the process to stop."""
        if self.process is not None and self.lives():
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
class Register:
    """The file that names the processes of this `up`."""

    file: Path
    written: list[list[float]] = field(default_factory=list)

    def write(self, members: list[Member]) -> None:
        """Write down who runs, if that has changed."""
        running = [
            [float(member.process.pid), created]
            for member in members
            if member.process is not None and (created := _created(member.process.pid))
        ]
        if running != self.written:
            atomic_files.write(self.file, json.dumps(running).encode())
            self.written = running

    def end_left(self, seconds: float) -> int:
        """End what an `up` that was killed left behind; return how many processes that were."""
        try:
            noted = json.loads(self.file.read_text())
        except (FileNotFoundError, ValueError):
            return 0
        left = [
            process
            for pid, created in noted
            if _created(int(pid)) == created and (process := _process(int(pid)))
        ]
        family = {child for process in left for child in _below(process)} | set(left)
        for process in left:
            _send(process, signal.SIGTERM)
        _, alive = psutil.wait_procs(left, timeout=seconds)
        for process in [*alive, *family]:
            _send(process, signal.SIGKILL)
        psutil.wait_procs(family, timeout=5)
        self.file.unlink(missing_ok=True)
        return len(left)


def _created(pid: int) -> float | None:
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


def _below(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
