"""A process is killed or stopped at each step of a job: the job still ends exactly once."""

import json
import os
import signal
from pathlib import Path

import psutil
import pytest

from storage import publishing
from storage.database import search
from storage.enums import QUEUES, Degradation, Review, Status

pytestmark = pytest.mark.slow

FAILPOINTS = str(Path(__file__).parent / "failpoints")
KINDS = {
    "super-resolution": Degradation.NOISE,
    "reflection": Degradation.REFLECTION,
    "motion-blur": Degradation.MOTION,
}
POINTS = ("claim", "network", "temporary", "hash", "rename", "done")


@pytest.fixture
def fail_at(home, jobs, photomend, take_photo, eventually):
    """Mend a photo with a worker that fails at `point`; return the ids of the failed processes."""

    def run(point: str, how: str, kind: Degradation | None) -> list[int]:
        mark = home / "failed"
        original = take_photo("cat.jpg", kind=kind)
        before = publishing.sha256(original)
        photomend("watch")
        photomend(
            "work", *QUEUES, PYTHONPATH=FAILPOINTS,
            FAILPOINT=point, FAILPOINT_HOW=how, FAILPOINT_MARK=str(mark),
        )  # fmt: skip
        eventually(lambda: mark.exists() and mark.read_text())
        failed = [int(process) for process in mark.read_text().split()]
        if how == "freeze":
            eventually(lambda: {psutil.Process(each).status() for each in failed} == {"stopped"})
            photomend("work", *QUEUES)
        eventually(lambda: search.get(jobs.engine, 1).status is Status.DONE)
        assert publishing.sha256(original) == before
        return failed

    return run


@pytest.fixture
def check(home, jobs):
    """Check that the job is done and its result is the only file in the output folder."""

    def ended_once(category: str) -> None:
        job = search.get(jobs.engine, 1)
        assert (job.status, job.category, job.decision) == (Status.DONE, category, "restored")
        assert publishing.sha256(home / "output" / job.output) == job.sha256
        assert {path.name for path in (home / "output").iterdir()} == {"cat.jpg", publishing.MARKER}

    return ended_once


@pytest.mark.parametrize("category", KINDS)
@pytest.mark.parametrize("point", POINTS)
def test_a_killed_process_loses_no_photo(fail_at, check, point, category):
    fail_at(point, "kill", KINDS[category])
    check(category)


@pytest.mark.parametrize("category", KINDS)
@pytest.mark.parametrize("point", POINTS)
def test_a_process_that_continues_after_its_claim_was_lost_changes_nothing(
    fail_at, check, jobs, home, eventually, point, category
):
    child, parent = fail_at(point, "freeze", KINDS[category])
    check(category)
    for process in (parent, child):
        os.kill(process, signal.SIGCONT)
    eventually(lambda: not _claimed_by(jobs, child))
    os.kill(parent, signal.SIGTERM)
    eventually(lambda: not Path(f"/proc/{child}").exists())
    check(category)


@pytest.mark.parametrize("how", ["kill", "freeze"])
def test_a_failure_during_the_classification_of_a_clean_photo_changes_nothing(
    fail_at, jobs, home, how
):
    fail_at("classify", how, None)
    assert search.get(jobs.engine, 1).decision == "clean"
    assert not list((home / "output").glob("*.*"))


def test_a_kill_when_a_clean_version_is_done_leaves_no_result_of_the_older_one(
    home, jobs, photomend, take_photo, eventually
):
    def decision(job: int):
        return (found := search.get(jobs.engine, job)) and found.decision

    take_photo("cat.jpg", kind=Degradation.NOISE)
    photomend("watch")
    worker = photomend("work", *QUEUES)
    eventually(lambda: decision(1) == "restored")
    worker.terminate()
    worker.wait()
    photomend(
        "work", *QUEUES, PYTHONPATH=FAILPOINTS,
        FAILPOINT="done", FAILPOINT_HOW="kill", FAILPOINT_MARK=str(home / "failed"),
    )  # fmt: skip
    take_photo("cat.jpg")
    eventually(lambda: decision(2) == "clean")
    assert (home / "failed").exists()
    assert not (home / "output/cat.jpg").exists()


@pytest.mark.parametrize("point", ["claim", "hash", "rename", "done"])
def test_a_kill_between_keep_and_publish_loses_and_doubles_nothing(
    home, jobs, photomend, take_photo, eventually, check, monkeypatch, point
):
    reviewed = json.loads(os.environ["PHOTOMEND_GALLERIES"])
    reviewed["g"]["publish"] = "after review"
    monkeypatch.setenv("PHOTOMEND_GALLERIES", json.dumps(reviewed))
    take_photo("cat.jpg", kind=Degradation.NOISE)
    photomend("watch")
    worker = photomend("work", *QUEUES)
    eventually(lambda: (job := search.get(jobs.engine, 1)) and job.review is Review.WAITING)
    assert not list((home / "output").glob("*.jpg"))
    worker.terminate()
    worker.wait()
    photomend("keep", "1").wait()
    photomend(
        "work", *QUEUES, PYTHONPATH=FAILPOINTS,
        FAILPOINT=point, FAILPOINT_HOW="kill", FAILPOINT_MARK=str(home / "failed"),
    )  # fmt: skip
    eventually(lambda: search.get(jobs.engine, 1).status is Status.DONE)
    eventually((home / "failed").exists)
    check("super-resolution")
    assert search.get(jobs.engine, 1).review is Review.KEPT


@pytest.mark.parametrize("operation", ["decoded", "coded"])
def test_a_killed_jail_costs_its_photo_an_attempt_and_the_worker_nothing(
    fail_at, check, take_photo, jobs, eventually, operation
):
    child, _ = fail_at(operation, "jail", Degradation.NOISE)
    check("super-resolution")
    told = [event.event for event in search.events(jobs.engine, 1)]
    assert sum("decodes photos was killed by signal 9" in event for event in told) == 1
    take_photo("clean.jpg")
    eventually(lambda: (job := search.get(jobs.engine, 2)) and job.status is Status.DONE)
    assert Path(f"/proc/{child}").exists()
    assert not any("process that worked on it died" in event for event in told)


def _claimed_by(jobs, child: int) -> bool:
    job = search.get(jobs.engine, 1)
    return bool(job.child == child and job.status is Status.RUNNING)
