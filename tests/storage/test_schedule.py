"""The hours of a schedule, minute by minute through the nights in which the clocks change."""

import itertools
import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from storage.errors import SettingsError
from storage.schedule import Schedule
from storage.settings import make

BERLIN = ZoneInfo("Europe/Berlin")
SPRING, AUTUMN = "2026-03-28", "2026-10-24"
"""Saturdays: at 01:00 UTC of the night, Berlin's clocks go from 2:00 to 3:00, and from 3:00 to 2:00."""


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def scheduled(**hours):
    return make({"schedule": {"timezone": "Europe/Berlin", **hours}}, "x").schedule.schedule


def changes(schedule, day, hours=36):
    """Return the instants, as UTC, of each minute from noon at which it opens or closes."""
    begin = utc(f"{day} 12:00")
    states = [schedule.is_open(begin + 60 * minute) for minute in range(hours * 60)]
    return [
        f"{datetime.fromtimestamp(begin + 60 * minute, UTC):%d %H:%M} {'open' if after else 'closed'}"
        for minute, (before, after) in enumerate(itertools.pairwise(states), 1)
        if before != after
    ]


@pytest.mark.parametrize(
    ("hours", "day", "expected"),
    [
        ("22:00-07:00", SPRING, ["28 21:00 open", "29 05:00 closed", "29 20:00 open"]),
        ("22:00-07:00", AUTUMN, ["24 20:00 open", "25 06:00 closed", "25 21:00 open"]),
        # an end that no clock shows is where the clock jumps over it
        ("22:00-02:30", SPRING, ["28 21:00 open", "29 01:00 closed", "29 20:00 open"]),
        ("02:30-04:00", SPRING, ["29 01:00 open", "29 02:00 closed"]),
        ("02:15-02:45", SPRING, []),
        # a time that comes twice counts once: neither is the hour open twice, nor lost
        ("22:00-02:30", AUTUMN, ["24 20:00 open", "25 00:30 closed", "25 21:00 open"]),
        ("02:30-04:00", AUTUMN, ["25 00:30 open", "25 03:00 closed"]),
        ("02:15-02:45", AUTUMN, ["25 00:15 open", "25 00:45 closed"]),
        ("12:00-13:00, 23:00-24:00", SPRING, ["28 22:00 open", "28 23:00 closed", "29 10:00 open", "29 11:00 closed", "29 21:00 open", "29 22:00 closed"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("of_machine", [False, True])
def test_no_hour_is_lost_or_comes_twice_when_the_clocks_change(
    hours, day, expected, of_machine, monkeypatch
):
    schedule = scheduled(hours=hours)
    if of_machine:
        monkeypatch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        schedule = Schedule(schedule.days)
    assert changes(schedule, day) == expected
    monkeypatch.undo()
    time.tzset()


def test_hours_over_midnight_belong_to_the_day_on_which_they_begin():
    schedule = scheduled(hours="22:00-07:00", sunday="off", monday="all day", tuesday="20:00-08:00")
    saturday = "2026-06-06"
    assert changes(schedule, saturday, hours=24 * 5) == [
        "06 20:00 open", "07 05:00 closed",  # the night to Sunday
        "07 22:00 open", "08 22:00 closed",  # Monday
        "09 18:00 open", "10 06:00 closed", "10 20:00 open", "11 05:00 closed",
    ]  # fmt: skip


def test_the_next_opening_is_named_as_people_say_it():
    schedule = scheduled(hours="off", monday="22:00-07:00")
    friday = utc("2026-06-05 10:00")
    opening = schedule.next_opening(friday)
    assert opening == utc("2026-06-08 20:00")
    assert schedule.shown(opening, friday) == "Monday 22:00"
    assert schedule.shown(opening, opening - 3600) == "22:00"
    assert schedule.next_opening(opening) == utc("2026-06-15 20:00")
    assert scheduled(hours="off").next_opening(friday) is None
    assert scheduled().is_always_open


@pytest.mark.parametrize(
    "hours", ["", "night", "22-7", "25:00-07:00", "07:00-07:00", "22:00-23:60", "08:00-10:00,09:00-11:00"]
)  # fmt: skip
def test_hours_that_mean_nothing_are_refused(hours):
    with pytest.raises(SettingsError, match=r"hours must be .*22:00-07:00"):
        make({"schedule": {"hours": hours}}, "x")


@pytest.mark.parametrize("zone", ["Berlin", "../../etc/passwd", "Europe"])
def test_a_time_zone_that_is_not_there_is_refused(zone):
    with pytest.raises(SettingsError, match="timezone must be the name of a time zone"):
        make({"schedule": {"timezone": zone}}, "x")
