from daemon.messages import alerts
from daemon.reports.health import Concern, Problem

AWAY = Problem(Concern.GALLERY, "gallery family is offline: the disk is away", "family")
FULL = Problem(Concern.FULL, "the state folder /s has 3 MB free and needs 500; make room")
HOUR, DAY = 3600.0, 86400.0


class Person:
    """One receiver, and what lasts."""

    def __init__(self):
        self.known, self.told = {}, {}

    def hears(self, now, *problems, failures=()):
        self.known = alerts.updated(self.known, alerts.lasting(problems, failures), now)
        news = alerts.news(self.told, self.known, now)
        self.told = alerts.after(self.told, self.known, now)
        return news and news[1]


def test_a_gallery_that_is_away_for_a_day_is_told_once_and_once_that_it_is_back():
    person = Person()
    for hour in range(24):
        assert person.hears(hour * HOUR, AWAY) is None
    assert person.hears(DAY, AWAY) == f"{AWAY.text} (for 24 h)"
    assert person.hears(DAY + 60, AWAY) is None
    assert person.hears(3 * DAY, AWAY) is None
    assert person.hears(3 * DAY + 60) is None  # it may be gone again at once
    assert person.hears(3 * DAY + 60 + HOUR) == f"Over: {AWAY.text}"
    assert person.hears(9 * DAY) is None


def test_a_gallery_that_comes_back_for_a_moment_is_still_away():
    person = Person()
    person.hears(0, AWAY)
    person.hears(DAY / 2)
    assert person.hears(DAY / 2 + 60, AWAY) is None
    assert person.hears(DAY, AWAY)


def test_a_gallery_that_was_back_is_away_anew():
    person = Person()
    person.hears(0, AWAY)
    person.hears(HOUR)
    person.hears(2 * HOUR)
    person.hears(3 * HOUR, AWAY)
    assert person.hears(DAY + HOUR, AWAY) is None


def test_a_full_disk_is_told_soon_and_several_queues_without_a_worker_together():
    person = Person()
    missing = [
        Problem(Concern.WORKER, f"no worker serves {q}", q) for q in ("classify", "reflection")
    ]
    person.hears(0, FULL, *missing)
    assert person.hears(300, FULL, *missing) == FULL.text
    assert (
        person.hears(900, FULL, *missing)
        == "no worker serves classify; no worker serves reflection"
    )


def test_failures_of_one_cause_are_told_at_once():
    person = Person()
    assert person.hears(0, failures=[("memory", "10 photos failed")]) == "10 photos failed"
    assert person.hears(60, failures=[("memory", "11 photos failed")]) is None


def test_other_problems_are_left_to_digests():
    person = Person()
    gpu = Problem(Concern.DEVICE, "the GPU cannot be used")
    person.hears(0, gpu)
    assert person.hears(9 * DAY, gpu) is None


def test_a_step_of_the_clock_makes_no_day():
    person = Person()
    person.hears(0, AWAY)
    person.known = alerts.moved(person.known, 50 * 365 * DAY)
    assert person.hears(50 * 365 * DAY + 60, AWAY) is None
