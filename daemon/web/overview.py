"""What the first screen shows, read once for all browsers that look at it."""

import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from threading import Lock

import sqlalchemy as sa

from daemon.reports.health import is_alive
from daemon.reports.status import has_left, time_left
from storage.database import status
from storage.database.records import Gallery
from storage.database.status import Summary
from storage.database.time_left import TimeLeft
from storage.enums import Decision, Status

FRESH_SECONDS = 2.5
"""Age up to which what was read is shown again, however many browsers look."""
LEFT_SECONDS = 20.0
"""Age up to which the estimate of the time left is shown again."""


@dataclass(frozen=True)
class Overview:
    """What photomend does now."""

    state: Summary
    today: dict[str, int]
    """Number of jobs that ended since midnight, by decision or status."""
    left: TimeLeft

    @property
    def ended_today(self) -> int:
        """Number of jobs that ended today."""
        return sum(self.today.values())

    @property
    def paused(self) -> bool:
        """Whether everything is paused."""
        return any(pause.scope == "all" for pause in self.state.pauses)

    @property
    def alive(self) -> int:
        """Number of workers that work."""
        return sum(is_alive(self.state, worker) for worker in self.state.workers)

    @property
    def failed(self) -> int:
        """Number of jobs that failed."""
        return self.state.counts.jobs[Status.FAILED]

    @property
    def unsure(self) -> int:
        """Number of photos that photomend was not sure of."""
        return self.state.counts.decisions[Decision.UNSURE]

    def of_gallery(self, gallery: Gallery) -> dict[Status, int]:
        """Return the number of a gallery's jobs by status."""
        return self.state.counts.galleries.get(gallery.name, dict.fromkeys(Status, 0))


class Reader:
    """Reads the overview, and keeps it for a moment."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._lock = Lock()
        self._read_at = self._left_at = float("-inf")
        self._last: Overview | None = None
        self._midnight = self._counted_to = 0.0
        self._today: Counter[str] = Counter()

    def read(self) -> Overview:
        """Return the overview; another thread that reads it is waited for."""
        with self._lock:
            if self._last is None or time.monotonic() - self._read_at > FRESH_SECONDS:
                self._last = self._read(self._last)
                self._read_at = time.monotonic()
            return self._last

    def forget(self) -> None:
        """Read it again next time: something was changed."""
        self._read_at = self._left_at = float("-inf")

    def _read(self, last: Overview | None) -> Overview:
        state = status.summary(self._engine, partial(has_left, self._engine))
        left = last.left if last else None
        if left is None or time.monotonic() - self._left_at > LEFT_SECONDS:
            left = time_left(self._engine)
            self._left_at = time.monotonic()
        return Overview(state, self._ended_today(), left)

    def _ended_today(self) -> dict[str, int]:
        """Count what ended since the last call, and add it to what ended before."""
        midnight = datetime.now().replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
        if midnight != self._midnight:
            self._midnight = self._counted_to = midnight
            self._today.clear()
        self._counted_to, new = status.decided_since(self._engine, self._counted_to)
        self._today.update(new)
        return dict(self._today)
