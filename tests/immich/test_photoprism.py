"""PhotoPrism indexes the folders of new results."""

import json
from pathlib import Path

import pytest

from daemon.library_apps.photoprism import PhotoprismApp
from daemon.library_apps.rounds import Rounds
from storage.database import followups, galleries, reviews, search
from storage.database import workers as worker_rows
from storage.database.engine import reading
from storage.database.followups import PHOTOPRISM
from storage.enums import QUEUES, Category, Decision
from storage.settings import settings
from tests.immich.fake_immich import FakeImmich, serve


@pytest.fixture
def photoprism(home, monkeypatch):
    """A server that only records what it is asked, or answers in another way."""
    token = home / "token"
    token.write_text("app-password\n")
    with FakeImmich(home) as server:
        server.headers = []

        def answer(handler):
            server.headers.append(handler.headers["Authorization"])
            handler.reply(server.status, {"code": server.status, "error": "Not found"})

        server.status, server.ways = 200, [answer] * 100
        known = {"url": server.url, "token_file": str(token), "originals": str(home)}
        monkeypatch.setenv("PHOTOMEND_PHOTOPRISM", json.dumps(known))
        settings.cache_clear()
        thread = serve(server)
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def mend(jobs, photoprism):
    def mend(name):
        worker_rows.heartbeat(jobs.engine, "w", "host", 1, QUEUES, "cpu")
        galleries.add(jobs.engine, "g", Path(name).parent, {Path(name).name: "1"})
        for _ in range(2):
            held = jobs.claim("w", QUEUES, child=1, seconds=300, seconds_per_megapixel=60)
            if held.category is None:
                jobs.classify(held, Category.REFLECTION, {})
        jobs.record(held, Path(name), "hash", {})
        jobs.finish(held, Decision.RESTORED)
        return search.get(jobs.engine, held.id)

    return mend


@pytest.fixture
def work(jobs, photoprism):
    rounds = Rounds(PhotoprismApp(settings().photoprism), jobs.engine)

    def work():
        rounds._resumes_at = 0.0
        followups.make_due(jobs.engine, PHOTOPRISM)
        while rounds.turn(["g"]):
            pass
        with reading(jobs.engine) as connection:
            return followups.waiting(connection)

    return work


def index_of(path):
    return "POST", "/v1/index", {"path": path, "rescan": False, "cleanup": True}


def test_each_folder_is_indexed_once_after_its_results(jobs, photoprism, mend, work):
    for name in ("2024/a.jpg", "2024/b.jpg", "c.jpg"):
        job = mend(name)
    assert work() == []
    assert sorted(photoprism.asked, key=str) == [index_of("/output"), index_of("/output/2024")]
    assert set(photoprism.headers) == {"Bearer app-password"}
    reviews.reject(jobs.engine, job)
    assert work() == []
    assert photoprism.asked[2:] == [index_of("/output")]


def test_a_photoprism_that_is_away_or_refuses_is_asked_again(photoprism, mend, work):
    mend("a.jpg")
    for status, sentence in (
        (503, "answers 503: "),
        (401, "PhotoPrism does not accept the key in token_file; make another"),
        (403, "the key of PhotoPrism lacks a permission"),
        (400, "PhotoPrism answers 400: "),
    ):
        photoprism.status = status
        [waiting] = work()
        assert sentence in waiting.error
        assert "app-password" not in waiting.error
    photoprism.status = 200
    assert work() == []


def test_what_is_outside_of_the_originals_needs_no_index(home, monkeypatch, photoprism, mend, jobs):
    monkeypatch.setenv(
        "PHOTOMEND_PHOTOPRISM",
        json.dumps({"url": photoprism.url, "originals": str(home / "gallery")}),
    )
    settings.cache_clear()
    mend("a.jpg")
    rounds = Rounds(PhotoprismApp(settings().photoprism), jobs.engine)
    followups.make_due(jobs.engine, PHOTOPRISM)
    assert rounds.turn(["g"])
    assert photoprism.asked == []
