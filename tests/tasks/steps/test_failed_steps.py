"""How a claim ends with an error: what is recorded, and what if the database is away."""

import errno
import os
import time
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from storage import filesystems, photos
from storage.database import galleries, search
from storage.enums import Decision, ErrorKind, Status
from storage.errors import ClaimLost, OutputTaken, TooLarge, UnreadablePhoto
from storage.formats.safe_open import Limits
from storage.settings import settings
from tasks import progress
from tasks.steps import run_step as steps
from tasks.steps.run_step import RECORD_TRIES, run_step
from tasks.worker import idle, reporting, runtime
from tests.recorded import seen

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture
def fail(jobs, take_photo, monkeypatch):
    """Run a step that raises an error, and return its job."""
    take_photo()
    galleries.add(jobs.engine, "g", Path(), {"cat.jpg": seen("cat.jpg")})

    def run(error):
        def step(job):
            raise error

        monkeypatch.setattr(steps, "classify", step)
        run_step(1)
        return search.get(jobs.engine, 1)

    return run


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (ValueError("a bug"), ErrorKind.ERROR, "ValueError: a bug"),
        (ValueError(), ErrorKind.ERROR, "ValueError: ValueError"),
        (OSError("broken data stream"), ErrorKind.ERROR, "OSError: broken data stream"),
        (MemoryError(), ErrorKind.MEMORY, "there is not enough memory for it"),
        (
            OSError(errno.ENOSPC, "No space left"),
            ErrorKind.DISK_FULL,
            "[Errno 28] No space left",
        ),
        (OperationalError("SELECT", {}, Exception()), ErrorKind.MACHINE, "the database was away"),
        (TooLarge("too many pixels"), ErrorKind.TOO_LARGE, "too many pixels"),
    ],
    ids=repr,
)
def test_the_sentence_of_an_error_is_stored_with_its_job(fail, error, kind, sentence):
    job = fail(error)
    assert (job.error_kind, job.error) == (kind, sentence)


def test_a_library_that_is_missing_comes_with_what_to_do(fail):
    job = fail(ModuleNotFoundError("No module named 'torch'", name="torch"))
    assert job.error.startswith("a library cannot be used (No module named 'torch'); ")
    assert "paper" in job.error


def test_a_photo_whose_output_is_taken_is_left_alone(fail):
    job = fail(OutputTaken("cat.jpg is not ours; it stays"))
    assert (job.decision, job.reason) == (Decision.LEFT_ALONE, "cat.jpg is not ours; it stays")
    assert job.status is Status.DONE


def test_a_photo_that_does_not_decode_waits_while_young_and_then_fails(jobs, home, eventually):
    photo = home / "gallery/cat.jpg"
    photo.write_bytes(b"\xff\xd8 half of a photo")
    galleries.add(jobs.engine, "g", Path(), {"cat.jpg": seen("cat.jpg")})
    run_step(1)
    assert search.get(jobs.engine, 1).error_kind is ErrorKind.ARRIVING
    os.utime(photo, (0, 0))
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE jobs SET fingerprint = ?", (seen("cat.jpg"),))
    eventually(lambda: search.due(jobs.engine, "classify", 1))
    run_step(1)
    assert search.get(jobs.engine, 1).status is Status.FAILED
    with pytest.raises(UnreadablePhoto):
        photos.read(photo, Limits.of(settings()))


def test_a_source_that_is_gone_ends_its_job_and_an_empty_gallery_does_not(jobs, home, take_photo):
    take_photo("here.jpg")
    gallery = home / "gallery"
    galleries.note(jobs.engine, "g", host="here", root=gallery, output=home / "output", filesystem="ext4", watching="events",
        online=True, identity=filesystems.identity(str(gallery)),
    )  # fmt: skip
    galleries.add(jobs.engine, "g", Path(), {"gone.jpg": seen("gone.jpg")})
    run_step(1)
    gone = search.get(jobs.engine, 1)
    assert (gone.status, gone.error) == (Status.CANCELLED, "its source is gone")
    (home / "gallery/here.jpg").unlink()
    galleries.add(jobs.engine, "g", Path(), {"other.jpg": seen("other.jpg")})
    run_step(2)
    assert (search.get(jobs.engine, 2).status, search.get(jobs.engine, 2).attempts) == (
        Status.QUEUED,
        0,
    )


def test_a_file_that_is_missing_while_the_photo_is_there_is_an_error_of_the_machine(fail):
    assert fail(FileNotFoundError(errno.ENOENT, "No such file")).error_kind is ErrorKind.MACHINE


def test_a_claim_that_was_lost_is_left_to_its_new_owner(fail, caplog):
    job = fail(ClaimLost("job 1 was given back"))
    assert (job.status, job.error) == (Status.RUNNING, None)
    assert "job 1 was given back" in caplog.text


@pytest.mark.parametrize(("times", "status"), [(3, Status.QUEUED), (99, Status.RUNNING)])
def test_the_end_of_a_claim_is_recorded_when_the_database_is_back(fail, monkeypatch, times, status):
    away = [OperationalError("UPDATE", {}, Exception("away"))] * times
    pauses, write = [], runtime.jobs().end_with_error

    def end_with_error(*given, **named):
        if away:
            raise away.pop()
        return write(*given, **named)

    monkeypatch.setattr(
        type(runtime.jobs()), "end_with_error", lambda _, *a, **b: end_with_error(*a, **b)
    )
    monkeypatch.setattr(time, "sleep", pauses.append)
    assert fail(ValueError("a bug")).status is status
    assert pauses == [2] * min(times, RECORD_TRIES)


def test_a_claim_that_was_lost_while_its_end_was_recorded_stays_as_it_is(
    fail, jobs, monkeypatch, caplog
):
    def error_and_release(job):
        jobs.release_lost(0)
        raise ValueError("a bug")

    monkeypatch.setattr(steps, "classify", error_and_release)
    run_step(1)
    job = search.get(jobs.engine, 1)
    assert (job.status, job.error_kind) == (Status.QUEUED, ErrorKind.WORKER_LOST)
    assert any(record.levelname == "WARNING" for record in caplog.records)


def test_a_step_reports_its_tiles_and_holds_the_child(jobs, take_photo, monkeypatch):
    monkeypatch.setattr(reporting, "REPORT_SECONDS", 0)
    working = []

    def step(job):
        with progress.of(8) as count:
            count(3)
        working.append(idle._working.locked())
        jobs.finish(job, Decision.CLEAN)

    monkeypatch.setattr(steps, "classify", step)
    take_photo()
    galleries.add(jobs.engine, "g", Path(), {"cat.jpg": seen("cat.jpg")})
    run_step(1)
    job = search.get(jobs.engine, 1)
    assert (job.tiles_done, job.tiles) == (3, 8)
    assert working == [True]
    run_step(1)  # nothing is due
    assert working == [True]
