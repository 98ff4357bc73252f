"""The time left, by the megapixels of what waits and the pace of what ended."""

from pathlib import Path

import pytest

from storage.database import galleries, time_left
from storage.database import workers as worker_rows
from storage.enums import CLASSIFY, QUEUES, Category

MENDED = (
    "UPDATE jobs SET status = 'done', decision = 'restored', pixels = 2000000, seconds = 10, "
    "claims = 2, finished_at = {} WHERE id = {}"
)
LEFT_ALONE = (
    "UPDATE jobs SET status = 'done', decision = 'left alone', claims = 1, finished_at = 100 + id "
    "WHERE id > 6"
)


@pytest.fixture
def ended(jobs):
    """Two photos are mended, at 5 s a megapixel; two wait to be classified, two for a chain."""
    galleries.add(jobs.engine, "g", Path(), {f"{number}.jpg": "1" for number in range(9)})
    with jobs.engine.begin() as connection:
        for statement in (MENDED.format(1, 1), MENDED.format(2, 2), LEFT_ALONE):
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql(
            "UPDATE jobs SET queue = 'reflection', pixels = 4000000 WHERE id IN (3, 4)"
        )


@pytest.fixture
def started(jobs):
    """Start workers of these queues, whose heartbeats are recent."""

    def start(*queues):
        for number, each in enumerate(queues):
            worker_rows.heartbeat(jobs.engine, f"w{number}", "host", number, each, "cpu")

    return start


def test_nothing_is_known_before_a_photo_has_ended(jobs):
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1"})
    assert time_left.estimate(jobs.engine) == time_left.TimeLeft(1, 0.0, None)


def test_megapixels_decide_and_photos_without_pixels_do_not_count(jobs, ended, started):
    started(QUEUES, QUEUES)
    found = time_left.estimate(jobs.engine)
    assert (found.photos, found.megapixels) == (4, 2 * 4 + 2 * 2)
    assert found.seconds == pytest.approx(12 * 5 / 2)


def test_only_workers_that_live_and_have_something_to_do_share_it(jobs, ended, started):
    assert time_left.estimate(jobs.engine).seconds == pytest.approx(12 * 5)
    started([CLASSIFY], [Category.REFLECTION], [Category.MOTION_BLUR], QUEUES)
    assert time_left.estimate(jobs.engine).seconds == pytest.approx(12 * 5 / 3)
    with jobs.engine.begin() as connection:
        old = "UPDATE workers SET heartbeat_at = 1, uptime = -1000, boot = {} WHERE id = '{}'"
        connection.exec_driver_sql(old.format("boot", "w0"))
        connection.exec_driver_sql(old.format("NULL", "w1"))
    assert time_left.estimate(jobs.engine).seconds == pytest.approx(12 * 5)


def test_what_runs_is_left_and_what_has_left_is_not(jobs, ended):
    galleries.add(jobs.engine, "gone", Path(), {"a.jpg": "1"})
    assert time_left.estimate(jobs.engine).photos == 5
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE jobs SET status = 'running' WHERE id = 3")
    found = time_left.estimate(jobs.engine, ["gone"])
    assert (found.photos, found.megapixels) == (4, 2 * 4 + 2 * 2)


def test_only_the_last_that_ended_are_read(jobs, ended, monkeypatch):
    monkeypatch.setattr(time_left, "READ", 3)  # the three without pixels
    assert time_left.estimate(jobs.engine).seconds is None
