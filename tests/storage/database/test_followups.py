"""Follow-ups: what apps are to be told of results."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from storage.database import followups, galleries, reviews, search, takeover
from storage.database import workers as worker_rows
from storage.database.engine import reading
from storage.database.followups import IMMICH, PHOTOPRISM
from storage.enums import QUEUES, Category, Decision
from storage.settings import settings


def waiting(jobs):
    with reading(jobs.engine) as connection:
        return followups.waiting(connection)


@pytest.fixture(params=[True])
def apps(request, monkeypatch):
    """Settings with both apps; without, nothing is recorded."""
    if request.param:
        monkeypatch.setenv("PHOTOMEND_IMMICH", '{"url": "http://nas:2283"}')
        monkeypatch.setenv("PHOTOMEND_PHOTOPRISM", '{"url": "http://nas:2342"}')
    monkeypatch.setenv("PHOTOMEND_CONFIG", "/dev/null")
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def mended(jobs, claim, apps):
    """Mend a photo; return its job."""

    def mend(name="a.jpg", fingerprint="1", output=None):
        worker_rows.heartbeat(jobs.engine, "a", "host", 1, QUEUES, "cpu")
        galleries.add(jobs.engine, "g", Path("2024"), {name: fingerprint})
        jobs.classify(claim(), Category.REFLECTION, {})
        held = claim()
        jobs.record(held, Path("2024", output or name), f"hash {fingerprint}", {})
        jobs.finish(held, Decision.RESTORED)
        return search.get(jobs.engine, held.id)

    return mend


def test_a_published_result_is_a_followup_of_its_job(jobs, mended):
    job = mended()
    taken = followups.take(jobs.engine, IMMICH, ["g"])
    assert (taken.job_id, taken.source, taken.output) == (job.id, job.source, job.output)
    assert followups.take(jobs.engine, IMMICH, ["g"]) is None
    assert followups.job_of(jobs.engine, taken) == job
    followups.finish(jobs.engine, taken, "stacked", {"done": True})
    assert waiting(jobs)[0].app == PHOTOPRISM
    assert search.events(jobs.engine, job.id)[-1].event == "stacked"


@pytest.mark.parametrize("apps", [False], indirect=True)
def test_without_an_app_nothing_is_recorded(jobs, mended):
    reviews.reject(jobs.engine, mended())
    assert waiting(jobs) == []


def test_the_results_of_a_folder_are_one_followup_for_photoprism_after_a_pause(jobs, mended):
    mended("a.jpg")
    mended("b.jpg")
    assert [(each.app, each.count) for each in waiting(jobs)] == [
        (IMMICH, 2), (PHOTOPRISM, 1),
    ]  # fmt: skip
    assert followups.take(jobs.engine, PHOTOPRISM, ["g"]) is None
    followups.make_due(jobs.engine, PHOTOPRISM)
    assert followups.take(jobs.engine, PHOTOPRISM, ["g"]).output == Path("2024")


def test_a_result_that_changes_during_a_turn_stays_due(jobs, mended):
    job = mended()
    taken = followups.take(jobs.engine, IMMICH, ["g"])
    reviews.reject(jobs.engine, job)
    for end in (
        lambda: followups.finish(jobs.engine, taken, None, None),
        lambda: followups.postpone(jobs.engine, taken, "away", 100),
        lambda: followups.drop(jobs.engine, taken),
    ):
        end()
        again = followups.take(jobs.engine, IMMICH, ["g"])
        assert again.serial == taken.serial + 1
        assert followups.job_of(jobs.engine, again).output is None


def test_a_followup_that_waits_is_taken_after_its_pause(jobs, mended):
    mended()
    followups.postpone(jobs.engine, followups.take(jobs.engine, IMMICH, ["g"]), "away", 100)
    assert followups.take(jobs.engine, IMMICH, ["g"]) is None
    assert waiting(jobs)[0].error == "away"
    assert followups.make_due(jobs.engine, IMMICH) == 1
    assert followups.take(jobs.engine, IMMICH, ["g"]).attempts == 1


def test_a_followup_of_a_killed_process_is_taken_again(jobs, mended):
    mended()
    taken = followups.take(jobs.engine, IMMICH, ["g"])
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE followups SET held_until = held_until - 700")
    assert followups.take(jobs.engine, IMMICH, ["g"]).id == taken.id


def test_an_edited_photo_keeps_the_followup_of_its_result(jobs, mended):
    old = mended(fingerprint="1")
    new = mended(fingerprint="2")
    jobs.forget_output(old)
    assert followups.take(jobs.engine, IMMICH, ["g"]).job_id == new.id
    assert followups.take(jobs.engine, IMMICH, ["g"]) is None


def test_a_restored_result_is_a_followup_and_a_kept_one_is_none(jobs, mended):
    job = mended()
    followups.finish(jobs.engine, followups.take(jobs.engine, IMMICH, ["g"]), None, {})
    rejected = reviews.reject(jobs.engine, job)
    taken = followups.take(jobs.engine, IMMICH, ["g"])
    assert taken.known == {}
    followups.finish(jobs.engine, taken, None, None)
    restored = reviews.restore(jobs.engine, rejected, job.output, job.sha256)
    taken = followups.take(jobs.engine, IMMICH, ["g"])
    assert (taken.known, followups.job_of(jobs.engine, taken).output) == (None, job.output)
    followups.finish(jobs.engine, taken, None, {})
    reviews.keep(jobs.engine, restored)
    assert followups.take(jobs.engine, IMMICH, ["g"]) is None


def test_a_result_that_was_removed_is_a_followup(jobs, mended):
    job = mended()
    followups.finish(jobs.engine, followups.take(jobs.engine, IMMICH, ["g"]), None, {})
    jobs.forget_output(job)
    taken = followups.take(jobs.engine, IMMICH, ["g"])
    assert taken.output == job.output
    assert followups.job_of(jobs.engine, taken).output is None


def test_processes_that_take_followups_at_once_never_take_the_same(jobs, mended):
    for number in range(12):
        mended(f"{number}.jpg")

    def take_all(_):
        found = []
        while taken := followups.take(jobs.engine, IMMICH, ["g"]):
            found.append(taken.output)
        return found

    with ThreadPoolExecutor(4) as pool:
        taken = [output for found in pool.map(take_all, range(4)) for output in found]
    assert len(taken) == len(set(taken))
    while left := followups.take(jobs.engine, IMMICH, ["g"]):  # PostgreSQL may lose a race
        taken.append(left.output)
    assert len(set(taken)) == 12


def test_the_results_of_before_are_added_once(jobs, mended, monkeypatch):
    monkeypatch.delenv("PHOTOMEND_IMMICH")
    settings.cache_clear()
    mended()
    assert followups.take(jobs.engine, IMMICH, ["g"]) is None
    assert followups.add_results(jobs.engine) == 1
    assert followups.add_results(jobs.engine) == 0
    assert followups.take(jobs.engine, IMMICH, ["g"]).output == Path("2024/a.jpg")


def test_followups_go_with_their_gallery_and_take_its_name(jobs, mended):
    mended()
    assert takeover.rename(jobs.engine, "g", "h") is None
    taken = followups.take(jobs.engine, IMMICH, ["h"])
    assert taken.gallery == "h"
    followups.drop(jobs.engine, taken)
    mended("b.jpg")
    assert followups.take(jobs.engine, IMMICH, ["another"]) is None
    galleries.forget(jobs.engine, "g")
    assert followups.take(jobs.engine, IMMICH, ["g"]) is None
