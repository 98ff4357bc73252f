"""Show the progress of `photomend up`: a panel on a terminal, plain lines elsewhere."""

import time
from collections import Counter, deque
from typing import Self

import sqlalchemy as sa
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from daemon.console.output import when
from daemon.reports.status import paused
from storage.database import remaining, status
from storage.database.records import Job
from storage.database.remaining import Waiting, WaitingJobs
from storage.enums import Decision, Status
from storage.settings import settings
from storage.text import command, printable

PANEL_LINES = 12
"""Number of lines that the panel shows: the newest."""


class Progress:
    """Print each job when it ends, and count them for the panel and the summary."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._console = Console(highlight=False)
        self._lines: deque[Text] = deque(maxlen=PANEL_LINES)
        self._panel = Live(console=self._console, auto_refresh=False)
        self._since = self._begun_at = status.clock(engine)
        self._shown: set[tuple[int, int, Status]] = set()
        self._counts: Counter[str] = Counter()
        self._started = self._last_active = time.monotonic()
        self._problem = ""

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._panel.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._panel.stop()

    def print(self, sentence: str) -> None:
        """Print a sentence about the processes."""
        self._print_line(Text(printable(sentence), style="yellow"))

    def print_problem(self, sentence: str) -> None:
        """Print a problem, unless it is the one printed last."""
        if sentence != self._problem:
            self.print(sentence)
        self._problem = sentence

    def update(self) -> None:
        """Print the jobs that ended since the last call, and redraw the panel."""
        clock = status.clock(self._engine)  # it may have been set back
        self._since, self._begun_at = min(self._since, clock), min(self._begun_at, clock)
        for job in self._ended():
            self._shown.add((job.id, job.claims, job.status))
            self._counts[_word(job)] += 1
            self._print_line(_line_of(job))
        if self._console.is_terminal:
            self._panel.update(Group(self._status_table(), *self._lines), refresh=True)
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
        total = Table("decision", "photos")
        for word, number in self._counts.most_common():
            total.add_row(word, str(number))
        self._console.print(total)

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
        if self._console.is_terminal:
            self._lines.append(line)
        else:
            self._console.print(line, soft_wrap=True)

    def _status_table(self) -> Table:
        counts, running = status.progress(self._engine)
        shown = Table(show_header=False, box=None)
        shown.add_row("jobs", ", ".join(f"{count} {word}" for word, count in counts.items()))
        minutes = (time.monotonic() - self._started) / 60
        shown.add_row("finished", f"{sum(self._counts.values())} photos in {minutes:.1f} min")
        for source in running:
            shown.add_row("running", Text(printable(source)))
        return shown


def _sentences(waiting: Waiting) -> list[str]:
    """Return a sentence for each reason why photos still wait."""
    offline = [f"{name} is offline: {reason}" for name, reason in waiting.offline]
    pauses = [f"paused: {paused(pause)}" for pause in waiting.pauses]
    return offline + pauses + list(map(_sentence, waiting.jobs))


def _sentence(jobs: WaitingJobs) -> str:
    """Return how many photos wait, why, until when, and how to try them before."""
    told = "1 photo still waits" if jobs.count == 1 else f"{jobs.count} photos still wait"
    if jobs.error:
        told += f"; one of them: {jobs.error}"
    if jobs.until is not None:
        told += f"; run this again after {when(jobs.until)}"
        if jobs.kind is not None:
            told += f", or at once after `{command('photomend', 'retry', '--kind', jobs.kind)}`"
    return told


def _word(job: Job) -> str:
    return str(job.decision) if job.status is Status.DONE and job.decision else str(job.status)


def _line_of(job: Job) -> Text:
    """Return a line such as "restored       motion-blur       2024/cat.jpg  (3.1 s)"."""
    styles = {Decision.RESTORED: "green", Decision.KEPT_ORIGINAL: "cyan"}
    style = "red" if job.status is Status.FAILED else styles.get(job.decision or Decision.CLEAN, "")
    line = Text(f"{_word(job):<14} {job.category or '-':<17}", style=style)
    line.append(f" {printable(job.source)}  ({job.seconds:.1f} s)", style="default")
    if why := job.reason or job.error:
        line.append(f"  {printable(why)}", style="dim")
    return line
