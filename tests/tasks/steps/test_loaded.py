"""Which networks a child process holds at the same time, and which jobs it prefers for that."""

import time
from pathlib import Path

import pytest

from storage.database import galleries
from storage.enums import CLASSIFY, Category, Decision, EngineName
from tasks import loading
from tasks.worker import runtime
from tests.recorded import seen

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture
def engines(monkeypatch):
    """Networks of the paper engine that need no weights; lite takes the steps that are given."""

    def use(*lite):
        by = dict.fromkeys(lite, EngineName.LITE)
        monkeypatch.setattr(runtime, "engine_of", lambda step: by.get(step, EngineName.PAPER))
        monkeypatch.setattr(runtime, "needs_device", lambda step: step not in lite)

    monkeypatch.setattr(loading, "classifier", lambda name, **_: object())
    monkeypatch.setattr(loading, "chain", lambda *_, **__: object())
    monkeypatch.setattr(runtime, "_loaded", {})
    runtime.classifier.cache_clear()
    yield use
    runtime.classifier.cache_clear()


def test_the_papers_classifier_and_a_chain_are_not_loaded_together(engines):
    engines()
    runtime.classifier()
    assert runtime.loaded() == {CLASSIFY}
    runtime.chain(Category.MOTION_BLUR)
    assert runtime.loaded() == {Category.MOTION_BLUR}
    runtime.classifier()
    assert runtime.loaded() == {CLASSIFY}


def test_the_small_classifier_stays_beside_a_chain(engines):
    engines(CLASSIFY)
    runtime.classifier()
    runtime.chain(Category.REFLECTION)
    assert runtime.loaded() == {CLASSIFY, Category.REFLECTION}


@pytest.mark.parametrize(
    ("load", "first"),
    [(lambda: runtime.classifier(), 3), (lambda: runtime.chain(Category.MOTION_BLUR), 1)],
    ids=["classifier", "chain"],
)
def test_jobs_for_what_is_loaded_come_first(engines, jobs, load, first):
    engines()
    galleries.add(
        jobs.engine, "g", Path(), {f"{number}.jpg": seen(f"{number}.jpg") for number in range(4)}
    )
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE jobs SET category = 'motion-blur', queue = 'motion-blur' WHERE id < 3"
        )
    load()
    assert runtime.claim().id == first


def test_a_backlog_is_classified_in_one_run_and_restored_in_one_run_for_each_category(
    engines, jobs, monkeypatch
):
    engines()
    chains, loads = (Category.SUPER_RESOLUTION, Category.MOTION_BLUR), []
    monkeypatch.setattr(loading, "classifier", lambda name, **_: loads.append(CLASSIFY) or object())
    monkeypatch.setattr(loading, "chain", lambda *of, **_: loads.append(of[1]) or object())
    galleries.add(
        jobs.engine, "g", Path(), {f"{number}.jpg": seen(f"{number}.jpg") for number in range(8)}
    )
    while job := runtime.claim():
        if job.category is None:
            runtime.classifier()
            jobs.classify(job, chains[job.id % 2], {})
        else:
            runtime.chain(job.category)
            jobs.finish(job, Decision.CLEAN)
        with jobs.engine.begin() as connection:  # all wait for long
            connection.exec_driver_sql("UPDATE jobs SET due_at = due_at - 1000")
    assert loads == [CLASSIFY, chains[1], chains[0]]


def test_after_its_run_the_most_urgent_job_comes_first(engines, jobs, monkeypatch):
    engines()
    galleries.add(jobs.engine, "g", Path(), {"0.jpg": seen("0.jpg"), "1.jpg": seen("1.jpg")})
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE jobs SET category = 'motion-blur', queue = 'motion-blur' WHERE id = 2"
        )
    runtime.chain(Category.MOTION_BLUR)
    now = time.monotonic()
    monkeypatch.setattr(runtime.time, "monotonic", lambda: now + runtime.RUN_SECONDS + 1)
    assert runtime.claim().id == 1
