"""Show what happens while `photomend up` runs: a panel on a terminal, plain lines elsewhere."""

import time
from collections import Counter, deque
from typing import Self

import sqlalchemy as sa
from rich.console import Console, Group
from rich.live import Live as RichLive
from rich.table import Table
from rich.text import Text

from storage.database.jobs import Jobs
from storage.database.tables import Job, galleries, now, pauses
from storage.database.tables import jobs as table
from storage.enums import Decision, ErrorKind, Outcome, Status
from storage.settings import settings
from storage.text import printable

LINES = 12
ENDED = (Status.DONE, Status.FAILED, Status.CANCELLED)
OUTSIDE = tuple(kind for kind in ErrorKind if kind.outcome is Outcome.WAIT)
"""What waits for one of these may wait for long: `--once` does not."""


class Live:
    """The jobs that end while this runs, told as they do."""

    def __init__(self, jobs: Jobs) -> None:
        self._reader = jobs.engine.execution_options(reads=True)
        self._console = Console(highlight=False)
        self._lines: deque[Text] = deque(maxlen=LINES)
        self._panel = RichLive(console=self._console, auto_refresh=False)
        with self._reader.connect() as connection:
            self._since = self._begun = connection.scalar(sa.select(now())) or 0.0
        self._told: set[tuple[int, int, Status]] = set()
        self._decided: Counter[str] = Counter()
        self._started = self._quiet_since = time.monotonic()
        self._complaint = ""

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._panel.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._panel.stop()

    def say(self, sentence: str) -> None:
        """Say something of the processes."""
        self._line(Text(sentence, style="yellow"))

    def complain(self, sentence: str) -> None:
        """Say what is wrong, once for each time it begins."""
        if sentence != self._complaint:
            self.say(sentence)
        self._complaint = sentence

    def show(self) -> None:
        """Tell what ended since the last time, and redraw the panel."""
        for job in self._ended():
            self._told.add((job.id, job.claims, job.status))
            self._decided[_word(job)] += 1
            self._line(_told(job))
        if self._console.is_terminal:
            self._panel.update(Group(self._table(), *self._lines), refresh=True)
        self._complaint = ""

    def all_done(self) -> bool:
        """Return whether every gallery was walked and for a while no job has been under way."""
        if self._under_way():
            self._quiet_since = time.monotonic()
        return time.monotonic() - self._quiet_since > settings().settle_seconds + 2

    def _under_way(self) -> bool:
        """Return whether a gallery still has to be walked, or a job can go on by itself."""
        names = list(settings().galleries)
        waits_outside = sa.and_(table.c.error_kind.in_(OUTSIDE), table.c.due_at > now())
        moving = sa.select(table.c.id).where(
            table.c.status.in_([Status.QUEUED, Status.RUNNING]),
            table.c.gallery.in_(names),
            sa.or_(table.c.error_kind.is_(None), sa.not_(waits_outside)),
            ~sa.select(pauses.c.scope).where(pauses.c.scope == "all").exists(),
        )
        seen = sa.and_(
            galleries.c.updated_at >= self._begun,
            sa.or_(galleries.c.walked_at >= self._begun, sa.not_(galleries.c.online)),
        )
        with self._reader.connect() as connection:
            looked_at = set(connection.scalars(sa.select(galleries.c.name).where(seen)))
            return bool(set(names) - looked_at or connection.scalar(sa.select(moving.exists())))

    def _left_waiting(self) -> list[str]:
        """Return a sentence for each reason why something still waits."""
        names = list(settings().galleries)
        offline = sa.select(galleries.c.name, galleries.c.reason).where(
            galleries.c.name.in_(names), sa.not_(galleries.c.online)
        )
        waiting = (
            sa.select(sa.func.count(), sa.func.min(table.c.error), table.c.error_kind)
            .where(table.c.status == Status.QUEUED, table.c.gallery.in_(names))
            .group_by(table.c.error_kind)
        )
        with self._reader.connect() as connection:
            return [f"{name} is offline: {why}" for name, why in connection.execute(offline)] + [
                f"{count} photos still wait" + (f", such as: {error}" if error else "")
                for count, error, _ in connection.execute(waiting)
            ]

    def summarise(self) -> None:
        """Print what became of the photos and what still waits."""
        for sentence in self._left_waiting():
            self._console.print(Text(printable(sentence), style="yellow"), soft_wrap=True)
        total = Table("decision", "photos")
        for word, number in self._decided.most_common():
            total.add_row(word, str(number))
        self._console.print(total)

    def _ended(self) -> list[Job]:
        # By the time alone: whatever else were named, SQLite would search all that ever ended.
        query = sa.select(table).where(table.c.finished_at >= self._since)
        with self._reader.connect() as connection:
            rows = [Job.of(r) for r in connection.execute(query.order_by(table.c.finished_at))]
        if rows:
            self._since = rows[-1].finished_at or self._since
        return [
            job
            for job in rows
            if job.status in ENDED
            and job.gallery in settings().galleries
            and (job.id, job.claims, job.status) not in self._told
        ]

    def _line(self, line: Text) -> None:
        if self._console.is_terminal:
            self._lines.append(line)
        else:
            self._console.print(line, soft_wrap=True)

    def _table(self) -> Table:
        with self._reader.connect() as connection:
            counted = connection.execute(
                sa.select(table.c.status, sa.func.count()).group_by(table.c.status)
            )
            counts = {row[0]: row[1] for row in counted}
            running = connection.execute(
                sa.select(table.c.folder, table.c.name).where(table.c.status == Status.RUNNING)
            ).all()
        shown = Table(show_header=False, box=None)
        shown.add_row("jobs", ", ".join(f"{counts.get(status, 0)} {status}" for status in Status))
        minutes = (time.monotonic() - self._started) / 60
        shown.add_row("ended", f"{sum(self._decided.values())} photos in {minutes:.1f} min")
        for row in running:
            shown.add_row("now", Text(printable(row.folder / row.name)))
        return shown


def _word(job: Job) -> str:
    return str(job.decision) if job.status is Status.DONE and job.decision else str(job.status)


def _told(job: Job) -> Text:
    """Return a line such as "restored       motion-blur       2024/cat.jpg  (3.1 s)"."""
    styles = {Decision.RESTORED: "green", Decision.KEPT_ORIGINAL: "cyan"}
    style = "red" if job.status is Status.FAILED else styles.get(job.decision or Decision.CLEAN, "")
    line = Text(f"{_word(job):<14} {job.category or '-':<17}", style=style)
    line.append(f" {printable(job.source)}  ({job.seconds:.1f} s)", style="default")
    if why := job.reason or job.error:
        line.append(f"  {printable(why)}", style="dim")
    return line
