"""Fixtures: this process as a worker, and a photo that it has claimed."""

from pathlib import Path

import pytest

from storage.database import galleries
from storage.enums import QUEUES, Category, Degradation
from storage.settings import settings
from tasks.steps.classify import classify
from tasks.worker import idle, notify, runtime


@pytest.fixture
def worker(home, redis_server, monkeypatch):
    """Make this process a worker of all queues."""
    monkeypatch.setenv("PHOTOMEND_REDIS_URL", redis_server.url)
    settings.cache_clear()
    runtime.jobs.cache_clear()
    notify._redis.cache_clear()
    runtime.become_worker(QUEUES)
    yield
    idle._ending.clear()
    runtime.jobs().engine.dispose()
    runtime.jobs.cache_clear()


@pytest.fixture
def noisy(worker, jobs, take_photo):
    """A noisy photo that this process has claimed for its restoration."""
    take_photo(kind=Degradation.NOISE)
    galleries.add(jobs.engine, "g", Path(), {"cat.jpg": "1"})
    classify(runtime.claim())
    job = runtime.claim()
    assert job.category is Category.SUPER_RESOLUTION
    return job
