"""The settings of the schedule, `[schedule]`."""

from dataclasses import dataclass
from functools import cache
from typing import Annotated

from storage import schedule
from storage.schedule import DAYS, Schedule
from storage.settings_values import Check


def _are_hours(text: str) -> bool:
    try:
        return schedule.spans(text) is not None
    except ValueError:
        return False


def _is_zone(name: str) -> bool:
    from zoneinfo import ZoneInfo  # takes a while, and few name a zone

    try:
        return not name or bool(ZoneInfo(name))
    except (ValueError, OSError, LookupError):  # no name of a zone, or none that is here
        return False


WANTED = '"22:00-07:00", several of these with commas, "all day" or "off"'
Hours = Annotated[str, Check(_are_hours, WANTED)]
HoursOrNothing = Annotated[str, Check(lambda text: not text or _are_hours(text), WANTED)]
Zone = Annotated[str, Check(_is_zone, 'the name of a time zone, like "Europe/Berlin", or ""')]


@dataclass(frozen=True)
class ScheduleSettings:
    """The hours in which this machine's workers start photos."""

    hours: Hours = schedule.ALL_DAY
    """When photos are started, as "22:00-07:00"; hours over midnight belong to the day on which they
    begin. Also "all day", "off", and several spans with commas."""
    monday: HoursOrNothing = ""
    """Hours that begin on a Monday; if empty, those of `hours`."""
    tuesday: HoursOrNothing = ""
    """The same for Tuesdays."""
    wednesday: HoursOrNothing = ""
    """The same for Wednesdays."""
    thursday: HoursOrNothing = ""
    """The same for Thursdays."""
    friday: HoursOrNothing = ""
    """The same for Fridays."""
    saturday: HoursOrNothing = ""
    """The same for Saturdays."""
    sunday: HoursOrNothing = ""
    """The same for Sundays."""
    timezone: Zone = ""
    """The time zone of these hours; if empty, that of the machine."""

    @property
    def schedule(self) -> Schedule:
        """The schedule that these settings name."""
        return _schedule(self)


@cache
def _schedule(given: ScheduleSettings) -> Schedule:
    days = tuple(schedule.spans(getattr(given, day) or given.hours) for day in DAYS)
    if not given.timezone:
        return Schedule(days)
    from zoneinfo import ZoneInfo

    return Schedule(days, ZoneInfo(given.timezone))
