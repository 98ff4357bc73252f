"""The hours in which photos are started, by the wall clock: over midnight and clock changes.

Each end of a span becomes one instant: the first at which the wall clock of its day shows that time or
a later one. So no hour is lost or comes twice, whichever way the clocks change in a night.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from itertools import pairwise

ALL_DAY, OFF = "all day", "off"
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MINUTES = 24 * 60
"""Minutes by which the times of a day are counted."""
SPAN = re.compile(r"(\d\d):([0-5]\d)-(\d\d):([0-5]\d)", re.ASCII)
LOOK_AHEAD_DAYS = 8
"""Days in which the next hours begin if there are any: those of a week, and the present one."""

Span = tuple[int, int]
"""First and last minute of a day; the last is larger than MINUTES if it is of the day after."""


def spans(text: str) -> tuple[Span, ...]:
    """Return the spans that "22:00-07:00", "off", "all day" or several spans with commas name.

    Raises:
        ValueError: the text is none of these, or spans of it overlap.

    """
    if text in (OFF, ALL_DAY):
        return ((0, MINUTES),) if text == ALL_DAY else ()
    found = sorted(_span(part.strip()) for part in text.split(","))
    if any(first[1] > second[0] for first, second in pairwise(found)):
        raise ValueError(text)
    return tuple(found)


def _span(text: str) -> Span:
    match = SPAN.fullmatch(text)
    if match is None:
        raise ValueError(text)
    hours, minutes, end_hours, end_minutes = map(int, match.groups())
    first, last = hours * 60 + minutes, end_hours * 60 + end_minutes
    if first >= MINUTES or last > MINUTES or first == last:
        raise ValueError(text)
    return first, last if last > first else last + MINUTES


@dataclass(frozen=True)
class Schedule:
    """The spans of each day of a week, which begin on it."""

    days: tuple[tuple[Span, ...], ...]
    """Monday first."""
    zone: tzinfo | None = None
    """Whose wall clock counts; None for that of this machine."""

    @property
    def is_always_open(self) -> bool:
        """Whether no time is left out."""
        return all(day == ((0, MINUTES),) for day in self.days)

    def is_open(self, at: float) -> bool:
        """Return whether photos are started at an instant, in seconds since 1970."""
        return self.is_always_open or any(first <= at < last for first, last in self._spans(at))

    def next_opening(self, at: float) -> float | None:
        """Return the first instant after `at` at which hours begin; None if there are none."""
        return min((first for first, _ in self._spans(at) if first > at), default=None)

    def shown(self, at: float, present: float) -> str:
        """Return an instant as people name it at `present`: "22:00", or "Monday 22:00"."""
        then, here = (
            datetime.fromtimestamp(at, self.zone),
            datetime.fromtimestamp(present, self.zone),
        )
        day = "" if then - here < timedelta(hours=20) else DAYS[then.weekday()].title() + " "
        return f"{day}{then:%H:%M}"

    def _spans(self, at: float) -> Iterator[tuple[float, float]]:
        """Yield the spans around and after an instant as instants; an empty one is left out."""
        today = datetime.fromtimestamp(at, self.zone).date()
        for offset in range(-1, LOOK_AHEAD_DAYS + 1):
            day = today + timedelta(days=offset)
            for first, last in self.days[day.weekday()]:
                begin, end = self._instant(day, first), self._instant(day, last)
                if begin < end:
                    yield begin, end

    def _instant(self, day: date, minute: int) -> float:
        """Return the first instant at which the wall clock of a day shows this time or a later one."""
        later, of_day = divmod(minute, MINUTES)
        wall = datetime.combine(
            day + timedelta(days=later), time(of_day // 60, of_day % 60), tzinfo=self.zone
        )
        first, second = wall.timestamp(), wall.replace(fold=1).timestamp()
        if first <= second:  # an hour that comes twice counts when it first comes
            return first
        left_out = range(int(second), int(first) + 1)  # no clock shows this time: it jumped over it
        return left_out[bisect_left(left_out, wall.replace(tzinfo=None), key=self._wall)]

    def _wall(self, at: int) -> datetime:
        return datetime.fromtimestamp(at, self.zone).replace(tzinfo=None, fold=0)
