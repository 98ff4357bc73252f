"""What the schedule and the battery of this machine stop, and what the owner lets go all the same."""

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from storage import battery
from storage.database import galleries, pauses, remaining, search, status, wishes, workers
from storage.enums import ASKED_FOR, AT_ONCE, CLASSIFY, LATER, QUEUES, ErrorKind, Status
from storage.settings import settings
from storage.wishes import Wish

NIGHT = {"hours": "22:00-07:00", "timezone": "Europe/Berlin"}


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


NOON, EVENING = utc("2026-06-05 10:00"), utc("2026-06-05 20:00")


@pytest.fixture
def set_to(home, monkeypatch):
    """Set the tables `schedule` and `give_way` of this process."""

    def set_to(**tables):
        for name, table in tables.items():
            monkeypatch.setenv(f"PHOTOMEND_{name.upper()}", json.dumps(table))
        settings.cache_clear()

    return set_to


@pytest.fixture
def clock(monkeypatch):
    """Set the clock that the schedule reads."""

    def set_clock(at):
        monkeypatch.setattr(time, "time", lambda: at)

    return set_clock


@pytest.fixture
def battery_in_use(tmp_path, monkeypatch):
    """Make this machine one that runs on its battery."""
    folder = tmp_path / "power"
    supply(folder, "BAT0", type="Battery", status="Discharging")
    monkeypatch.setattr(battery, "FOLDER", str(folder))
    return folder


def supply(folder: Path, name: str, **values: str) -> None:
    (folder / name).mkdir(parents=True, exist_ok=True)
    for value, text in values.items():
        (folder / name / value).write_text(text + "\n")


def claim(jobs):
    return jobs.claim("w", QUEUES, child=1, seconds=60, seconds_per_megapixel=0)


def stops(jobs):
    return [pause.scope for pause in status.pauses_now(jobs.engine)]


@pytest.mark.parametrize(
    ("noon", "first", "last"),
    [("2026-03-28", "28 21:00", "29 00:59"), ("2026-10-24", "24 20:00", "25 00:29")],
)
def test_jobs_are_claimed_in_exactly_the_minutes_of_a_night_in_which_the_clocks_change(
    jobs, set_to, clock, noon, first, last
):
    set_to(schedule={**NIGHT, "hours": "22:00-02:30"})
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1"})
    claimed = []
    for minute in range(14 * 60):
        at = utc(f"{noon} 15:00") + 60 * minute
        clock(at)
        if found := claim(jobs):
            claimed.append(at)
            jobs.end_with_error(found, ErrorKind.STOPPED, "the worker was stopped", pause_seconds=0)
    named = [f"{datetime.fromtimestamp(at, UTC):%d %H:%M}" for at in (claimed[0], claimed[-1])]
    assert named == [first, last]
    assert len(claimed) == (claimed[-1] - claimed[0]) / 60 + 1


def test_outside_the_hours_nothing_is_due_overdue_or_under_way(jobs, set_to, clock):
    set_to(schedule=NIGHT)
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1"})
    clock(NOON)
    [pause] = status.summary(jobs.engine).pauses
    assert (pause.scope, pause.until) == ("schedule", EVENING)
    assert search.due(jobs.engine, CLASSIFY, 10) == status.overdue(jobs.engine, -60) == []
    assert not remaining.left_waiting(jobs.engine, ["g"]).offline
    assert [p.scope for p in remaining.left_waiting(jobs.engine, ["g"]).pauses] == ["schedule"]
    clock(EVENING)
    assert search.due(jobs.engine, CLASSIFY, 10) == [1]
    assert status.overdue(jobs.engine, 60) == []  # it opened only now
    clock(EVENING + 60)
    assert status.overdue(jobs.engine, -60) == [CLASSIFY]


def test_what_runs_is_finished_and_its_next_step_waits(jobs, set_to, clock):
    set_to(schedule=NIGHT)
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1", "b.jpg": "1"})
    clock(EVENING)
    running = claim(jobs)
    clock(EVENING + 9 * 3600)
    jobs.finish(running, decision="clean")
    assert search.get(jobs.engine, running.id).status is Status.DONE
    assert claim(jobs) is None


def test_a_photo_that_the_owner_asks_for_goes_at_once_but_not_again_after_a_failed_attempt(
    jobs, set_to, clock
):
    set_to(schedule=NIGHT)
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1", "b.jpg": "1"})
    clock(NOON)
    jobs.retry([1])
    wishes.ask(jobs.engine, [2], Wish())
    assert search.get(jobs.engine, 2).rank == AT_ONCE
    found = claim(jobs)
    assert found.id == 2
    assert jobs.claim("v", QUEUES, child=2, seconds=60, seconds_per_megapixel=0) is None
    jobs.end_with_error(found, ErrorKind.CRASHED, "the process that worked on it died")
    assert search.get(jobs.engine, 2).rank == ASKED_FOR + LATER
    assert claim(jobs) is None


def test_the_owner_lets_photos_start_until_the_hours_begin(jobs, set_to, clock):
    set_to(schedule=NIGHT)
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1"})
    clock(NOON)
    until = pauses.let_go(jobs.engine).until
    assert abs(until - status.clock(jobs.engine) - (EVENING - NOON)) < 5
    assert stops(jobs) == ["now"]
    assert claim(jobs)
    assert jobs.resume("all")
    assert stops(jobs) == ["schedule"]
    pauses.let_go(jobs.engine, seconds=0.05)
    time.sleep(0.1)
    assert stops(jobs) == ["schedule"]


def test_a_pause_of_the_owner_stops_also_what_was_let_go(jobs, set_to, clock):
    set_to(schedule=NIGHT)
    clock(NOON)
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1"})
    pauses.let_go(jobs.engine)
    wishes.ask(jobs.engine, [1], Wish())
    jobs.pause("all")
    assert claim(jobs) is None


def test_another_machine_is_notified_outside_of_the_hours_of_this_one(jobs, set_to, clock):
    set_to(schedule=NIGHT)
    clock(NOON)
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1"})
    for host, found in ((os.uname().nodename, []), ("other", [1])):
        workers.heartbeat(jobs.engine, host, host, 1, [CLASSIFY], "cpu")
        assert search.due(jobs.engine, CLASSIFY, 10) == found


def test_a_machine_on_its_battery_waits_unless_it_is_told_to_go_on(jobs, set_to, battery_in_use):
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1"})
    assert (stops(jobs), claim(jobs)) == (["battery"], None)
    set_to(give_way={"on_battery": "go on"})
    assert stops(jobs) == []
    set_to(give_way={"on_battery": "wait"})
    supply(battery_in_use, "AC0", type="Mains", online="1")
    assert (stops(jobs), bool(claim(jobs))) == ([], True)


@pytest.mark.parametrize(
    ("supplies", "in_use"),
    [
        ({}, False),
        ({"BAT0": {"type": "Battery", "status": "Discharging"}, "AC": {"type": "Mains", "online": "0"}}, True),
        ({"BAT0": {"type": "Battery", "status": "Discharging"}, "ucsi": {"type": "USB", "online": "1"}}, False),
        ({"BAT0": {"type": "Battery", "status": "Full"}, "AC": {"type": "Mains", "online": "0"}}, False),
        ({"hidpp_battery_0": {"type": "Battery", "scope": "Device", "status": "Discharging"}}, False),
        ({"BAT0": {}}, False),
    ],
)  # fmt: skip
def test_a_battery_in_use_is_that_of_the_machine_while_nothing_else_gives_power(
    tmp_path, supplies, in_use
):
    for name, values in supplies.items():
        supply(tmp_path / battery.FOLDER, name, **values)
    assert battery.in_use(tmp_path) is in_use
