from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from daemon.messages.calendar import believed, is_due, period
from storage.enums import Digest

BERLIN, SANTIAGO = ZoneInfo("Europe/Berlin"), ZoneInfo("America/Santiago")


def sent(rhythm, hour, start, days, zone):
    """Return the local times at which digests are sent, with a round every seven minutes."""
    last = period(rhythm, hour, datetime.fromtimestamp(start, zone).replace(tzinfo=None))
    found = []
    for second in range(int(start), int(start + days * 86400), 420):
        local = datetime.fromtimestamp(second, zone).replace(tzinfo=None)
        last = believed(last, period(rhythm, hour, local))
        if is_due(rhythm, hour, local, last):
            last = period(rhythm, hour, local)
            found.append(local)
    return found


@pytest.mark.parametrize("hour", [0, 1, 2, 3, 4, 23])
@pytest.mark.parametrize("zone", [BERLIN, SANTIAGO])
@pytest.mark.parametrize("begin", ["2026-03-27", "2026-10-23", "2026-04-02", "2026-09-03"])
def test_over_the_changes_of_the_clock_each_day_has_one_digest(hour, begin, zone):
    start = datetime.fromisoformat(begin + "T12:00").replace(tzinfo=zone).timestamp()
    found = sent(Digest.DAILY, hour, start, 5, zone)
    days = [(local - timedelta(hours=hour)).date() for local in found]
    assert len(days) == len(set(days)) == 5
    assert all(local.hour in (hour, (hour + 1) % 24) for local in found)


def test_a_weekly_digest_comes_on_monday_or_as_soon_as_the_machine_runs():
    monday = datetime(2026, 11, 30, 8, 0)
    assert not is_due(Digest.WEEKLY, 8, monday - timedelta(minutes=1), date(2026, 11, 23))
    assert is_due(Digest.WEEKLY, 8, monday, date(2026, 11, 23))
    assert is_due(Digest.WEEKLY, 8, monday + timedelta(days=3), date(2026, 11, 23))
    assert not is_due(Digest.WEEKLY, 8, monday + timedelta(days=6, hours=23), date(2026, 11, 30))


def test_the_first_digest_is_not_sent_at_the_start_and_none_if_they_are_off():
    noon = datetime(2026, 11, 30, 12, 0)
    assert not is_due(Digest.DAILY, 8, noon, believed(None, period(Digest.DAILY, 8, noon)))
    assert not is_due(Digest.OFF, 8, noon, date(2026, 1, 1))


def test_a_digest_sent_by_a_wrong_clock_does_not_end_all_others():
    assert believed(date(2040, 1, 1), date(2026, 11, 30)) == date(2026, 11, 30)
    assert believed(date(2026, 12, 1), date(2026, 11, 30)) == date(2026, 12, 1)  # a small step back
