"""The owner's word with a real watcher and a real worker: what is mended after it was asked for."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from PIL import Image

from storage import database, owners_word, trash
from storage.database import search
from storage.database.records import Job
from storage.database.tables import jobs as table
from storage.enums import QUEUES, Category, Decision, Degradation, Review, Status
from storage.settings import settings

pytestmark = pytest.mark.slow


def all_jobs(jobs) -> dict[str, Job]:
    return jobs_in(jobs.engine)


def jobs_in(engine) -> dict[str, Job]:
    with engine.connect() as connection:
        rows = connection.execute(table.select().order_by(table.c.id))
        return {str(job.source): job for job in map(Job.of, rows)}


@pytest.fixture
def run(home, redis_server):
    def run(*words: str) -> str:
        command = [Path(sys.executable).with_name("photomend"), *words]
        env = os.environ | {"PHOTOMEND_REDIS_URL": redis_server.url}
        return subprocess.run(
            command, capture_output=True, text=True, check=True, cwd=home, env=env
        ).stdout

    return run


def test_what_was_clean_and_a_screenshot_are_mended_when_the_owner_asks(
    home, jobs, take_photo, photomend, run, eventually
):
    take_photo("Screenshot_1.jpg", kind=Degradation.NOISE)
    take_photo("cat.jpg", kind=Degradation.NOISE)
    take_photo("clean.jpg")
    photomend("watch")
    photomend("work", *QUEUES)

    def ended(number: int) -> bool:
        return [job.status for job in all_jobs(jobs).values()] == [Status.DONE] * number

    eventually(lambda: ended(3), 200)
    found = {name: job.decision for name, job in all_jobs(jobs).items()}
    assert found == {
        "Screenshot_1.jpg": Decision.LEFT_ALONE,
        "cat.jpg": Decision.RESTORED,
        "clean.jpg": Decision.CLEAN,
    }
    normal = all_jobs(jobs)["cat.jpg"]
    run("mend", "gallery/Screenshot_1.jpg")
    run("mend", "gallery/cat.jpg", "--strength", "gentle")
    run("mend", "gallery/clean.jpg", "--as", "super-resolution")
    eventually(lambda: ended(3), 200)
    asked = all_jobs(jobs)
    assert asked["Screenshot_1.jpg"].decision is Decision.RESTORED
    assert (home / "output/Screenshot_1.jpg").exists()
    assert asked["cat.jpg"].receipt["strength"] == "gentle"
    assert asked["cat.jpg"].sha256 != normal.sha256
    assert asked["clean.jpg"].category is Category.SUPER_RESOLUTION
    assert asked["clean.jpg"].decision in (Decision.RESTORED, Decision.KEPT_ORIGINAL)
    run("mend", "gallery/cat.jpg", "--strength", "normal")
    eventually(lambda: ended(3), 200)
    again = all_jobs(jobs)["cat.jpg"]
    assert again.receipt["from_full_result"]
    assert again.decision is Decision.RESTORED


def test_a_rule_that_is_changed_holds_for_what_is_queued_and_for_what_it_left(
    home, jobs, take_photo, photomend, eventually
):
    off = json.dumps([{"match": "drafts/", "mode": "off"}])
    watcher = photomend("watch", PHOTOMEND_RULES=off)
    take_photo("drafts/a.jpg", kind=Degradation.NOISE)
    eventually(lambda: len(all_jobs(jobs)) == 1)
    worker = photomend("work", *QUEUES, PHOTOMEND_RULES=off)
    eventually(lambda: all_jobs(jobs)["drafts/a.jpg"].status is Status.DONE, 240)
    assert all_jobs(jobs)["drafts/a.jpg"].reason == 'rule 1 ("drafts/") turns mending off'
    for process in (watcher, worker):
        process.terminate()
        process.wait(60)
    gentle = json.dumps([{"match": "drafts/", "strength": "gentle"}])
    photomend("watch", PHOTOMEND_RULES=gentle)
    # Of so little noise nobody would see the half.
    photomend("work", *QUEUES, PHOTOMEND_RULES=gentle, PHOTOMEND_LEAST_CHANGE="any")
    eventually(lambda: all_jobs(jobs)["drafts/a.jpg"].decision is Decision.RESTORED, 240)
    job = all_jobs(jobs)["drafts/a.jpg"]
    assert job.receipt["strength"] == "gentle"
    events = [event.event for event in search.events(jobs.engine, job.id)]
    assert "the rules allow it now" in events


def kill_all(process) -> None:
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    for child in children:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(children, 30)


def what_holds(engine) -> dict[str, tuple[object, ...]]:
    """What is told of each photo: what the owner said, and what was decided."""
    return {
        name: (job.review, job.decision, job.wish, job.category if job.wish else None, job.output)
        for name, job in jobs_in(engine).items()
    }


def test_what_the_owner_said_survives_a_lost_database(
    home, jobs, degraded_photo, photomend, run, eventually
):
    for number, name in enumerate(("rejected", "kept", "forced", "Screenshot_1", "untouched")):
        with Image.open(degraded_photo(Degradation.NOISE)) as noisy:
            photo = noisy.crop((number, 0, 250 + number, 240))
            photo.save(home / f"gallery/{name}.jpg", quality=95)
    up = photomend("up")

    def ended(engine=jobs.engine) -> bool:
        found = jobs_in(engine).values()
        return len(found) == 5 and {job.status for job in found} == {Status.DONE}

    eventually(ended, 240)
    result = (home / "output/rejected.jpg").read_bytes()
    run("reject", "gallery/rejected.jpg")
    run("keep", "gallery/kept.jpg")
    run("mend", "gallery/forced.jpg", "--as", "motion-blur", "--strength", "gentle")
    run("mend", "gallery/Screenshot_1.jpg")
    eventually(ended, 240)
    before = what_holds(jobs.engine)
    assert before["rejected.jpg"][:2] == (Review.REJECTED, Decision.KEPT_ORIGINAL)
    assert before["kept.jpg"][0] is Review.KEPT
    assert before["forced.jpg"][3] is Category.MOTION_BLUR
    assert before["Screenshot_1.jpg"][1] is not Decision.LEFT_ALONE
    asked = jobs_in(jobs.engine)["forced.jpg"]

    kill_all(up)
    shutil.rmtree(home / "state")
    gallery = json.loads(os.environ["PHOTOMEND_GALLERIES"])["g"] | {"backlog": "new"}
    photomend("up", PHOTOMEND_GALLERIES=json.dumps({"g": gallery}))
    eventually(lambda: "you rejected the result" in (home / "log").read_text(), 240)
    engine = database.open_engine(settings().database)
    eventually(lambda: ended(engine), 240)
    assert what_holds(engine) == before
    assert not (home / "output/rejected.jpg").exists()
    assert jobs_in(engine)["forced.jpg"].sha256 == asked.sha256
    run("restore", "gallery/rejected.jpg")
    assert (home / "output/rejected.jpg").read_bytes() == result
    assert not [file for file in (home / "output" / trash.FOLDER).rglob("*") if file.is_file()]
    assert Path("rejected.jpg") not in owners_word.read(home / "output").by_photo
    engine.dispose()
