"""The first step: which photos are left alone, and which queue is notified of the others."""

from pathlib import Path

import pytest

from storage.database import galleries, search
from storage.enums import CLASSIFY, QUEUES, Category, Decision, EngineName
from tasks.steps.classify import classify
from tasks.worker import notify, redis_client, runtime
from tests.recorded import seen

pytestmark = pytest.mark.usefixtures("worker")


def found(jobs, name):
    galleries.add(jobs.engine, "g", Path(), {name: seen(name)})
    return runtime.claim()


def test_a_photo_that_is_left_alone_is_not_classified(jobs, take_photo, monkeypatch):
    take_photo("Screenshot_1.jpg")
    monkeypatch.setattr(runtime, "classifier", None)
    classify(found(jobs, "Screenshot_1.jpg"))
    job = search.get(jobs.engine, 1)
    assert (job.decision, job.reason) == (
        Decision.LEFT_ALONE,
        "a screenshot, by its name or folder",
    )
    assert job.category is job.scores is job.output is None


@pytest.mark.parametrize("category", [each for each in Category if each is not Category.CLEAN])
def test_the_queue_of_the_category_is_notified_of_the_job(
    jobs, take_photo, given_verdict, monkeypatch, category
):
    take_photo()
    monkeypatch.setattr(runtime, "classifier", lambda: given_verdict(category))
    jobs.cancel([found(jobs, "other.jpg").id])
    classify(found(jobs, "cat.jpg"))
    assert {queue: notify.waiting(queue) for queue in QUEUES if notify.waiting(queue)} == {
        category.value: 1
    }
    [message] = redis_client.client().lrange(redis_client.key(category.value), 0, -1)
    assert int(message) == 2


@pytest.mark.parametrize("confident", [True, False])
def test_only_a_movement_that_lite_cannot_mend_goes_to_the_paper_engine(
    jobs, take_photo, given_verdict, monkeypatch, confident
):
    engines = {CLASSIFY: EngineName.LITE, Category.MOTION_BLUR: EngineName.PAPER}
    monkeypatch.setattr("tasks.steps.classify.engine_of", engines.__getitem__)
    verdict = given_verdict(Category.MOTION_BLUR, confident)
    monkeypatch.setattr(runtime, "classifier", lambda: verdict)
    take_photo()
    classify(found(jobs, "cat.jpg"))
    assert not verdict.verdict.surely_moved
    job = search.get(jobs.engine, 1)
    assert job.decision is (None if confident else Decision.UNSURE)
