"""Fixtures: this process as a worker, and a photo that it has claimed."""

import errno
import json
import os
from contextlib import contextmanager
from pathlib import Path

import cv2
import pytest

from storage.database import galleries
from storage.enums import QUEUES, Category, Degradation
from storage.metadata import sidecar
from storage.settings import settings
from tasks.guarding.limits import Limit
from tasks.steps.classify import classify
from tasks.verdict import Verdict
from tasks.worker import idle, redis_client, runtime
from tests.recorded import seen


class Smoothing:
    """A chain that smooths and enlarges, and notes what it is given."""

    def __init__(self, scale=1, generative=False):
        self.scale, self.generative, self.given = scale, generative, []

    def __call__(self, image, verdict, receipt):
        self.given.append((image, verdict))
        with receipt.step("smooth the photo"):
            receipt.generative = self.generative
            return cv2.resize(cv2.blur(image, (3, 3)), None, fx=self.scale, fy=self.scale)


class Told:
    """A classifier that gives one verdict, and notes what it is given."""

    name = "told"

    def __init__(self, category, confident=True):
        scores = {each: 0.7 if each is category else 0.1 for each in Category}
        self.verdict = Verdict(scores, dict.fromkeys(Degradation, 0.25), confident)
        self.given = []

    def __call__(self, image, *, jpeg_quality=None):
        self.given.append((image, jpeg_quality))
        return self.verdict


@pytest.fixture
def worker(home, redis_server, monkeypatch):
    """Make this process a worker of all queues."""
    monkeypatch.setenv("PHOTOMEND_REDIS_URL", redis_server.url)
    settings.cache_clear()
    runtime.jobs.cache_clear()
    redis_client.client.cache_clear()
    runtime.become_worker(QUEUES)
    yield
    idle._ending.clear()
    runtime.jobs().engine.dispose()
    runtime.jobs.cache_clear()


@pytest.fixture
def noisy(worker, jobs, take_photo):
    """A noisy photo that this process has claimed for its restoration."""
    take_photo(kind=Degradation.NOISE)
    galleries.add(jobs.engine, "g", Path(), {"cat.jpg": seen("cat.jpg")})
    classify(runtime.claim())
    job = runtime.claim()
    assert job.category is Category.SUPER_RESOLUTION
    return job


@pytest.fixture
def smoothing():
    return Smoothing


@pytest.fixture
def given_verdict():
    return Told


@pytest.fixture
def lenient(monkeypatch):
    """Let the guard accept every result of the right size."""
    anything = {"block_shift": Limit("the shift", 1e9)}
    monkeypatch.setattr("tasks.guard.limits.WHOLE", {each: {} for each in Category})
    monkeypatch.setattr("tasks.guard.limits.BLOCKS", dict.fromkeys(Category, anything))


@pytest.fixture
def configure(monkeypatch):
    """Change settings of this process; `gallery` changes those of the gallery."""

    def change(gallery=None, **values):
        if gallery:
            of_all = json.loads(os.environ["PHOTOMEND_GALLERIES"])
            of_all["g"] |= gallery
            values["GALLERIES"] = of_all
        for name, value in values.items():
            text = value if isinstance(value, str) else json.dumps(value)
            monkeypatch.setenv(f"PHOTOMEND_{name}", text)
        settings.cache_clear()

    return change


@pytest.fixture
def claimed(jobs, take_photo, monkeypatch):
    """Return a photo that is claimed for its restoration in a category."""

    def claim(category):
        take_photo(kind=Degradation.NOISE)
        monkeypatch.setattr(runtime, "classifier", lambda: Told(category))
        galleries.add(jobs.engine, "g", Path(), {"cat.jpg": seen("cat.jpg")})
        classify(runtime.claim())
        job = runtime.claim()
        assert job.category is category
        return job

    return claim


@pytest.fixture
def use(monkeypatch):
    """Use a chain, and return with which categories and permissions it was asked for."""

    def with_(chain):
        asked = []
        monkeypatch.setattr(
            runtime, "chain",
            lambda category, *, faces=True: asked.append((category, faces)) or chain,
        )  # fmt: skip
        return asked

    return with_


@pytest.fixture
def no_room_for_sidecars(monkeypatch):
    """Return a context in which the disk is full when a sidecar is copied."""

    @contextmanager
    def context():
        def fail(*_):
            raise OSError(errno.ENOSPC, "the disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(sidecar, "copy_sidecar", fail)
            yield

    return context
