"""The pictures of a job are drawn again from its photo and its result, and the job stays as it is."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daemon import actions
from daemon.console import session
from storage import preview_files, preview_requests
from storage.database import galleries, search
from storage.enums import Category, Decision, Review, Status
from storage.settings import settings
from tasks.steps import drawing
from tasks.steps.restore import restore
from tasks.worker import runtime
from tests.recorded import seen

pytestmark = pytest.mark.usefixtures("worker", "lenient")
ALL = set(preview_files.NAMES)


@pytest.fixture
def mended(jobs, claimed, use, smoothing):
    """A job whose photo was mended, and whose previews were swept."""
    chain = smoothing()
    use(chain)
    restore(claimed(Category.MOTION_BLUR))
    chain.given.clear()
    assert drawn() == ALL
    shutil.rmtree(settings().state_dir / preview_files.FOLDER)
    session.engine.cache_clear()
    yield search.get(jobs.engine, 1)
    session.engine().dispose()
    session.engine.cache_clear()


@pytest.fixture
def no_network(monkeypatch):
    """Fail if anything is loaded that classifies or mends."""

    def fail(*_, **__):
        raise AssertionError("a network was asked")

    monkeypatch.setattr(runtime, "classifier", fail)
    monkeypatch.setattr(runtime, "chain", fail)


def drawn(job_id=1) -> set[str]:
    found = preview_files.of(settings().state_dir, job_id)
    return {name for name in preview_files.NAMES if getattr(found, name)}


def state(path: Path) -> tuple[int, ...]:
    """Return what of a file changes when it is written; not when it was read."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def draw(job_id=1) -> str | None:
    """Draw what was asked for; return the reason why not all is there."""
    preview_requests.ask(settings().state_dir, job_id)
    drawing.draw(job_id)
    found = preview_requests.of(settings().state_dir, job_id)
    assert found is None or not found.is_pending
    return found.reason if found else None


def test_a_photo_and_its_result_are_drawn_and_the_job_stays_as_it_is(
    jobs, mended, no_network, home
):
    files = {path: state(path) for path in [home / "gallery/cat.jpg", home / "output/cat.jpg"]}
    events = search.events(jobs.engine, 1)
    assert draw() is None
    assert drawn() == ALL
    assert search.get(jobs.engine, 1) == mended
    assert search.events(jobs.engine, 1) == events
    assert {path: state(path) for path in files} == files
    found = preview_files.of(settings().state_dir, 1)
    with Image.open(found.after) as after, Image.open(home / "output/cat.jpg") as result:
        difference = np.asarray(after).astype(int) - np.asarray(result)
    assert np.abs(difference).mean() < 3
    assert found.after.read_bytes() != found.before.read_bytes()
    assert found.box is not None


def test_nothing_is_drawn_that_nobody_asked_for(mended):
    drawing.draw(1)
    assert drawn() == set()
    preview_requests.ask(settings().state_dir, 1)
    drawing.draw(2)
    assert drawn() == set()
    assert preview_requests.waiting(settings().state_dir) == [1]


def test_a_photo_without_a_result_is_drawn_alone(jobs, take_photo, no_network):
    take_photo()
    galleries.add(jobs.engine, "g", Path(), {"cat.jpg": seen("cat.jpg")})
    jobs.cancel([1])
    assert draw() is None
    assert drawn() == {"before", "small"}
    assert search.get(jobs.engine, 1).status is Status.CANCELLED


def test_a_rejected_result_is_not_shown_and_the_reason_is(jobs, mended):
    actions.reject([mended])
    assert search.get(jobs.engine, 1).review is Review.REJECTED
    assert draw() == drawing.REJECTED
    assert drawn() == {"before", "small"}
    actions.undo([search.get(jobs.engine, 1)])
    assert draw() is None
    assert drawn() == ALL


def test_what_is_missing_is_said_in_a_sentence(mended, home, configure, jobs, take_photo):
    for number in range(9):
        take_photo(f"{number}.jpg")
    galleries.add(jobs.engine, "g", Path(), {f"{n}.jpg": seen(f"{n}.jpg") for n in range(9)})
    (home / "output/cat.jpg").rename(home / "kept.jpg")
    assert draw() == "its result is gone from the folder of results"
    assert drawn() == {"before", "small"}
    (home / "output/cat.jpg").write_bytes(b"\xff\xd8\xff none")
    assert draw().startswith("its result cannot be read: ")
    (home / "output").rename(home / "elsewhere")
    assert draw() == "the folder of results is offline: connect its disk or mount its share"
    (home / "gallery/cat.jpg").rename(home / "cat.jpg")
    assert draw() == "the photo is gone from its folder"
    (home / "gallery").rename(home / "away")
    assert draw() == "the gallery g is offline: connect its disk or mount its share"
    assert draw(77) == drawing.NOT_RECORDED
    configure(PREVIEWS_MEGABYTES=0)
    assert draw() == drawing.NONE_KEPT


def test_a_photo_that_was_changed_or_is_broken_is_not_shown_as_another_version(mended, home):
    photo = home / "gallery/cat.jpg"
    whole = photo.read_bytes()
    os.utime(photo, (1e9, 1e9))
    assert "has changed since it was found" in draw()
    assert drawn() == set()
    photo.write_bytes(whole[:1000])
    assert draw()


def test_no_room_is_said(mended, configure):
    configure(MIN_FREE_MEGABYTES=10**9)
    assert "min_free_megabytes" in draw()


def test_the_database_that_is_away_is_said(mended, monkeypatch):
    from sqlalchemy.exc import OperationalError

    def away(*_):
        raise OperationalError("SELECT", None, Exception("gone"))

    monkeypatch.setattr(search, "get", away)
    assert draw() == "the database was away"


def test_a_decision_without_a_result_has_no_pictures_of_one(jobs, mended, no_network):
    from sqlalchemy import update

    from storage.database.tables import jobs as table

    with jobs.engine.begin() as connection:
        connection.execute(update(table).values(decision=Decision.KEPT_ORIGINAL, output=None))
    assert draw() is None
    assert drawn() == {"before", "small"}
