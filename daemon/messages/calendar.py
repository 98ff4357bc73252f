"""When a digest is due, by the calendar and the clock on the wall; pure functions.

Only dates and hours are compared, so the changes to and from summer time bring no second digest and
leave none out, even if the hour does not exist or comes twice that day.
"""

from datetime import date, datetime, timedelta

from storage.enums import Digest

FUTURE = timedelta(days=7)
"""A last digest that lies further in the future was sent by a wrong clock."""


def period(rhythm: Digest, hour: int, local: datetime) -> date:
    """Return the day of the last digest that was due by then: this day or an earlier one, or a Monday."""
    day = local.date() if local.hour >= hour else local.date() - timedelta(days=1)
    return day - timedelta(days=day.weekday()) if rhythm is Digest.WEEKLY else day


def is_due(rhythm: Digest, hour: int, local: datetime, last: date | None) -> bool:
    """Return whether a digest is due; `last` is the period of the last one, None before the first.

    The first one is due when its first period ends.
    """
    return rhythm is not Digest.OFF and last is not None and period(rhythm, hour, local) > last


def believed(last: date | None, present: date) -> date:
    """Return the period of the last digest; the present one if there was none, or a wrong clock set it.

    A clock that steps back a little after a digest brings no second one.
    """
    return present if last is None or last - present > FUTURE else last
