"""What becomes of jobs whose photos the owner wants mended."""

from pathlib import Path

import pytest

from storage.database import galleries, search, wishes
from storage.database import workers as worker_rows
from storage.database.tables import jobs as table
from storage.enums import AT_ONCE, CLASSIFY, QUEUES, Category, Decision, Review, Status, Strength
from storage.wishes import Wish


@pytest.fixture
def claim(jobs):
    def claim(queue=CLASSIFY):
        worker_rows.heartbeat(jobs.engine, "w", "host", 1, QUEUES, "cpu")
        return jobs.claim("w", [queue], child=1, seconds=300, seconds_per_megapixel=60)

    return claim


@pytest.fixture
def unsure(jobs, claim):
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1"})
    jobs.finish(claim(), Decision.UNSURE, "perhaps", category=Category.MOTION_BLUR)
    return search.get(jobs.engine, 1)


@pytest.fixture
def restored(jobs, claim):
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1"})
    jobs.classify(claim(), Category.REFLECTION, {"scores": {"reflection": 1.0}})
    held = claim("reflection")
    jobs.record(held, Path("a.jpg"), "hash", {"steps": []})
    jobs.finish(held, Decision.RESTORED)
    return search.get(jobs.engine, 1)


def test_a_wish_queues_an_ended_job_before_all_others(jobs, unsure):
    [asked] = wishes.ask(jobs.engine, [1], Wish(Category.REFLECTION, Strength.GENTLE))
    assert (asked.status, asked.queue, asked.rank) == (Status.QUEUED, CLASSIFY, AT_ONCE)
    assert asked.category is asked.decision is asked.reason is None
    assert asked.wish == {"category": "reflection", "strength": "gentle"}
    assert Wish.of(asked) == Wish(Category.REFLECTION, Strength.GENTLE)
    events = [event.event for event in search.events(jobs.engine, 1)]
    assert events[-1] == "the owner asked for it: as reflection, gentle"


def test_a_wish_without_a_name_is_a_wish(jobs, unsure):
    assert Wish.of(unsure) is None
    [asked] = wishes.ask(jobs.engine, [1], Wish())
    assert asked.wish == {}
    assert Wish.of(search.get(jobs.engine, 1)) == Wish()


def test_another_strength_does_not_classify_again_and_another_category_does(jobs, restored):
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE jobs SET review = 'rejected', reviewed_at = 1")
    assert search.get(jobs.engine, 1).review is Review.REJECTED
    [asked] = wishes.ask(jobs.engine, [1], Wish(strength=Strength.STRONG))
    assert (asked.queue, asked.category, asked.sha256) == ("reflection", "reflection", "hash")
    assert asked.scores and asked.review is asked.reviewed_at is None
    [again] = wishes.ask(jobs.engine, [1], Wish(Category.MOTION_BLUR))
    assert (again.queue, again.category, again.scores) == (CLASSIFY, None, None)
    assert again.wish == {"category": "motion-blur", "strength": "strong"}


def test_a_later_wish_keeps_what_it_does_not_name(jobs, unsure):
    wishes.ask(jobs.engine, [1], Wish(Category.REFLECTION))
    [asked] = wishes.ask(jobs.engine, [1], Wish(strength=Strength.GENTLE))
    assert Wish.of(asked) == Wish(Category.REFLECTION, Strength.GENTLE)


def test_a_running_job_stays_as_it_is(jobs, unsure, claim):
    wishes.ask(jobs.engine, [1], Wish())
    claim()
    assert wishes.ask(jobs.engine, [1], Wish(strength=Strength.GENTLE)) == []
    assert search.get(jobs.engine, 1).wish == {}


def test_only_a_named_retry_from_scratch_forgets_a_wish(jobs, unsure, claim):
    wishes.ask(jobs.engine, [1], Wish())
    jobs.finish(claim(), Decision.UNSURE)
    assert jobs.retry([1], from_scratch=True)[0].wish == {}
    jobs.finish(claim(), Decision.UNSURE)
    assert jobs.retry([1], from_scratch=True, forget_wish=True)[0].wish is None


def test_a_wish_that_another_version_stored_is_read_as_far_as_it_is_known(jobs, unsure):
    wish = {"category": "colour", "strength": 3, "more": 1}
    with jobs.engine.begin() as connection:
        connection.execute(table.update().values(wish=wish))
    assert Wish.of(search.get(jobs.engine, 1)) == Wish()
