"""Show the progress of `photomend up`: a line for each photo that ended, and a view on a terminal.

The lines stay; the view is drawn below them again and again.
"""

import time
from collections import Counter
from typing import Self

import sqlalchemy as sa
from rich.console import Console
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text

from daemon.console.output import when
from daemon.reports import pauses, words
from daemon.reports.status import gone, time_left
from daemon.supervising.live_view import View
from storage.database import remaining, status
from storage.database.records import Job
from storage.database.remaining import Waiting, WaitingJobs
from storage.enums import Status
from storage.settings import settings
from storage.text import command, counted, printable

STATE = 14
"""Columns of what became of a photo, in its line."""
ESTIMATE_SECONDS = 5.0
"""Pause between two estimates of the time that is left: each reads hundreds of jobs."""


class Progress:
    """Print each job when it ends, and count the photos for the view and the summary."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._console = Console(highlight=False)
        self._view = Live(console=self._console, auto_refresh=False, transient=True)
        self._since = self._begun_at = status.clock(engine)
        self._shown: set[tuple[int, int, Status]] = set()
        self._ends: dict[int, str] = {}  # by the hash of a photo: a million paths would fill memory
        self._started = self._last_active = time.monotonic()
        self._left_seconds: float | None = None
        self._estimated_at = 0.0
        self._problem = ""

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._view.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._view.stop()

    def print(self, sentence: str) -> None:
        """Print a sentence about the processes."""
        self._print_line(Text(printable(sentence), style="yellow"))

    def print_problem(self, sentence: str) -> None:
        """Print a problem, unless it is the one printed last."""
        if sentence != self._problem:
            self.print(sentence)
        self._problem = sentence

    def update(self) -> None:
        """Print the jobs that ended since the last call, and redraw the view."""
        clock = status.clock(self._engine)  # it may have been set back
        self._since, self._begun_at = min(self._since, clock), min(self._begun_at, clock)
        self._print_ended()
        if self._console.is_terminal:
            now = self._now()
            if self._print_ended():  # a photo that ended meanwhile would be missing in both numbers
                now = self._now()
            self._view.update(now.draw(self._console), refresh=True)
        self._problem = ""

    def all_done(self) -> bool:
        """Return whether all galleries were scanned and no job has been under way for a while."""
        if remaining.under_way(self._engine, list(settings().galleries), since=self._begun_at):
            self._last_active = time.monotonic()
        return time.monotonic() - self._last_active > settings().settle_seconds + 2

    def waiting(self) -> Waiting:
        """Return what keeps photos waiting."""
        return remaining.left_waiting(self._engine, list(settings().galleries))

    def print_summary(self) -> None:
        """Print the number of photos by decision, and what still waits."""
        for sentence in _sentences(self.waiting()):
            self._console.print(Text(printable(sentence), style="yellow"), soft_wrap=True)
        total = Table("result", "photos")
        for word, number in Counter(self._ends.values()).most_common():
            total.add_row(word, str(number))
        self._console.print(total)

    def _print_ended(self) -> bool:
        """Print and count the jobs that ended since the last call; return whether there were any."""
        ended = self._ended()
        for job in ended:
            self._shown.add((job.id, job.claims, job.status))
            self._ends[hash((job.gallery, job.source))] = words.short(job)
            self._print_job(job)
        return bool(ended)

    def _ended(self) -> list[Job]:
        """Return the jobs that ended since the last call."""
        jobs = status.ended_since(self._engine, self._since)
        if jobs:
            self._since = jobs[-1].finished_at or self._since
        return [
            job
            for job in jobs
            if job.gallery in settings().galleries
            and (job.id, job.claims, job.status) not in self._shown
        ]

    def _print_line(self, line: Text) -> None:
        """Print a line; on a terminal it appears above the view, and no word of it is broken."""
        self._console.print(line, soft_wrap=not self._console.is_terminal)

    def _print_job(self, job: Job) -> None:
        """Print a line such as "mended         2024/cat.jpg  noise removed, strongly (3.1 s)"."""
        state = words.short(job)
        shown = Text(f"{state:<{STATE}}", style="red" if job.status is Status.FAILED else "")
        done = printable(words.done(job).removeprefix(f"{state}: "))
        what = Text(printable(job.source)).append(f"  {done} ({job.seconds:.1f} s)", style="dim")
        if not self._console.is_terminal:
            self._print_line(Text(" ").join((shown, what)))
            return
        line = Table.grid(Column(width=STATE), Column(overflow="fold"), padding=(0, 1))
        line.add_row(shown, what)
        self._console.print(line)

    def _now(self) -> View:
        counts, running = status.progress(self._engine, gone(self._engine))
        mine = settings().galleries
        offline = [
            f"{g.name} is offline: {g.reason}"
            for g in status.galleries_known(self._engine)
            if g.name in mine and not g.online
        ]
        stops = list(map(pauses.sentence, status.pauses_now(self._engine)))
        return View(
            outputs=[gallery.output_root for gallery in mine.values()],
            finished=len(self._ends),
            failed=sum(word == words.STATUSES[Status.FAILED] for word in self._ends.values()),
            left=counts[Status.QUEUED] + counts[Status.RUNNING],
            seconds=time.monotonic() - self._started,
            seconds_left=self._estimate(),
            troubles=stops + offline,
            running=running,
        )

    def _estimate(self) -> float | None:
        """Return the time that the waiting photos need; it is computed every few seconds."""
        if time.monotonic() - self._estimated_at > ESTIMATE_SECONDS or not self._estimated_at:
            self._left_seconds = time_left(self._engine).seconds
            self._estimated_at = time.monotonic()
        return self._left_seconds


def _sentences(waiting: Waiting) -> list[str]:
    """Return a sentence for each reason why photos still wait."""
    offline = [f"{name} is offline: {reason}" for name, reason in waiting.offline]
    stops = list(map(pauses.sentence, waiting.pauses))
    return offline + stops + list(map(_sentence, waiting.jobs))


def _sentence(jobs: WaitingJobs) -> str:
    """Return how many photos wait, why, until when, and how to try them before."""
    told = f"{counted(jobs.count, 'photo')} still {'waits' if jobs.count == 1 else 'wait'}"
    if jobs.error:
        told += f"; one of them: {jobs.error}"
    if jobs.until is not None:
        told += f"; run this again after {when(jobs.until)}"
        if jobs.kind is not None:
            told += f", or at once after `{command('photomend', 'retry', '--kind', jobs.kind)}`"
    return told
