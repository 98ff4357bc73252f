"""Which networks a child process holds at the same time, and which jobs it prefers for that."""

from pathlib import Path

import pytest

from storage.database import galleries
from storage.enums import CLASSIFY, Category, EngineName
from tasks import loading
from tasks.worker import runtime

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture
def engines(monkeypatch):
    """Networks of the paper engine that need no weights; lite takes the steps that are given."""

    def use(*lite):
        by = dict.fromkeys(lite, EngineName.LITE)
        monkeypatch.setattr(runtime, "engine_of", lambda step: by.get(step, EngineName.PAPER))
        monkeypatch.setattr(runtime, "needs_device", lambda step: step not in lite)

    monkeypatch.setattr(loading, "classifier", lambda name: object())
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
    galleries.add(jobs.engine, "g", Path(), {f"{number}.jpg": "1" for number in range(4)})
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE jobs SET category = 'motion-blur', queue = 'motion-blur' WHERE id < 3"
        )
    load()
    assert runtime.claim().id == first
