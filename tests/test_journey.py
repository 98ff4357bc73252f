"""Photos from the gallery to their results, with real processes, some of which are killed."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from storage import preview_files, publishing
from storage.database import search
from storage.database.records import Job
from storage.database.tables import jobs as table
from storage.enums import QUEUES, Category, Decision, Degradation, ErrorKind, Status

pytestmark = pytest.mark.slow


def all_jobs(jobs) -> list[Job]:
    with jobs.engine.connect() as connection:
        return [Job.of(row) for row in connection.execute(table.select().order_by(table.c.id))]


def counts(jobs) -> Counter:
    return Counter(job.status for job in all_jobs(jobs))


@pytest.fixture
def done(jobs, eventually):
    """Wait until this many jobs are done and there are no others; return their decisions."""

    def wait(number: int, seconds: float = 90) -> dict[str, tuple[str | None, str | None]]:
        eventually(lambda: counts(jobs) == {Status.DONE: number}, seconds)
        return {str(job.source): (job.category, job.decision) for job in all_jobs(jobs)}

    return wait


@pytest.fixture
def start_all(photomend):
    """Start a watcher and a worker for all queues."""

    def start(**environment: str):
        photomend("watch", **environment)
        return photomend("work", *QUEUES, **environment)

    return start


def test_each_category_is_mended_and_a_clean_photo_left_alone(
    home, jobs, take_photo, start_all, done
):
    take_photo("old/noisy.jpg", kind=Degradation.NOISE)
    start_all()
    take_photo("new/deep/ghost.jpg", kind=Degradation.REFLECTION)
    take_photo(os.fsdecode(b"caf\xe9.jpg"), kind=Degradation.MOTION)
    take_photo("soft.jpg", kind=Degradation.SOFTNESS)
    take_photo("clean.jpg")
    originals = {p: publishing.sha256(p) for p in (home / "gallery").rglob("*.jpg")}
    assert done(5) == {
        "old/noisy.jpg": (Category.SUPER_RESOLUTION, Decision.RESTORED),
        "new/deep/ghost.jpg": (Category.REFLECTION, Decision.RESTORED),
        os.fsdecode(b"caf\xe9.jpg"): (Category.MOTION_BLUR, Decision.RESTORED),
        "soft.jpg": (Category.SUPER_RESOLUTION, Decision.RESTORED),
        "clean.jpg": (Category.CLEAN, Decision.CLEAN),
    }
    for job in all_jobs(jobs):
        if job.output is not None:
            assert publishing.sha256(home / "output" / job.output) == job.sha256
    assert {p: publishing.sha256(p) for p in originals} == originals
    assert not (home / "output/clean.jpg").exists()
    for job in all_jobs(jobs):
        drawn = preview_files.of(home / "state", job.id)
        assert drawn.before is not None
        assert (drawn.after is None) == (drawn.box is None) == (job.output is None)


def test_an_unreadable_photo_waits_while_it_is_new_and_fails_when_it_is_old(
    home, jobs, start_all, eventually
):
    (home / "gallery/young.jpg").write_bytes(b"no photo yet")
    (home / "gallery/old.jpg").write_bytes(b"no photo")
    os.utime(home / "gallery/old.jpg", (0, 0))
    start_all()
    eventually(lambda: counts(jobs) == {Status.FAILED: 1, Status.QUEUED: 1})
    [old] = [job for job in all_jobs(jobs) if job.status is Status.FAILED]
    assert (old.source, old.attempts, old.error_kind) == (
        Path("old.jpg"), 0, ErrorKind.UNREADABLE,
    )  # fmt: skip
    eventually(lambda: any(job.error_kind is ErrorKind.ARRIVING for job in all_jobs(jobs)))


def test_an_edited_photo_is_mended_again(home, jobs, take_photo, start_all, done):
    photo = take_photo(kind=Degradation.NOISE)
    start_all()
    done(1)
    first = all_jobs(jobs)[0].sha256
    take_photo(kind=Degradation.MOTION)
    assert len(done(1 + 1) | {"": ()}) == 2
    newest = all_jobs(jobs)[-1]
    assert newest.category is Category.MOTION_BLUR
    assert publishing.sha256(home / "output" / photo.name) == newest.sha256 != first


def test_the_result_of_a_photo_that_is_clean_after_an_edit_is_removed(
    home, take_photo, start_all, done
):
    take_photo(kind=Degradation.NOISE)
    start_all()
    done(1)
    assert (home / "output/cat.jpg").exists()
    take_photo()
    done(2)
    assert not (home / "output/cat.jpg").exists()


def test_a_photo_with_new_metadata_only_is_not_mended_again(
    home, jobs, take_photo, start_all, done
):
    photo = take_photo(kind=Degradation.NOISE)
    start_all()
    done(1)
    jpeg = photo.read_bytes()
    comment = b"holiday"
    marker = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
    photo.write_bytes(jpeg[:2] + marker + jpeg[2:])
    done(2)
    tagged = all_jobs(jobs)[-1]
    assert (tagged.claims, tagged.decision) == (1, Decision.RESTORED)
    assert publishing.sha256(home / "output/cat.jpg") == tagged.sha256


def test_the_result_of_a_moved_photo_is_moved(home, jobs, take_photo, start_all, done):
    photo = take_photo(kind=Degradation.NOISE)
    start_all()
    done(1)
    (home / "gallery/2024").mkdir()
    photo.rename(home / "gallery/2024/dog.jpg")
    done(2)
    moved = all_jobs(jobs)[-1]
    assert (moved.claims, moved.output) == (1, Path("2024/dog.jpg"))
    assert publishing.sha256(home / "output/2024/dog.jpg") == moved.sha256
    assert not (home / "output/cat.jpg").exists()


def test_the_result_follows_a_folder_that_is_renamed_and_renamed_back(
    home, jobs, take_photo, start_all, done, eventually
):
    take_photo("a/cat.jpg", kind=Degradation.NOISE)
    start_all()
    done(1)
    for there, new, total in (("a", "A", 2), ("A", "a", 2), ("a", "A", 2)):
        (home / f"gallery/{there}").rename(home / f"gallery/{new}")
        eventually(lambda new=new: (home / f"output/{new}/cat.jpg").exists())
        eventually(lambda there=there: not (home / f"output/{there}/cat.jpg").exists())
        done(total)
        job = next(job for job in all_jobs(jobs) if job.folder == Path(new))
        assert (job.decision, job.output) == (Decision.RESTORED, Path(f"{new}/cat.jpg"))
    assert [job.claims for job in all_jobs(jobs)] == [3, 2]  # mended once: two steps


def test_a_copied_photo_gets_a_copy_of_the_result(home, jobs, take_photo, start_all, done):
    photo = take_photo(kind=Degradation.NOISE)
    start_all()
    done(1)
    shutil.copy(photo, home / "gallery/copy.jpg")
    done(2)
    assert all_jobs(jobs)[-1].claims == 1
    assert (home / "output/cat.jpg").exists()
    assert (home / "output/copy.jpg").exists()


def test_a_moved_folder_of_a_hundred_is_moved_and_not_mended_again(
    home, jobs, take_photo, start_all, done, eventually
):
    for number in range(100):
        photo = take_photo(f"a/{number}.png")
        Image.new("RGB", (64, 64), (number, 128, 100)).save(photo)
    start_all()
    done(100, seconds=180)
    (home / "gallery/a").rename(home / "gallery/b")
    done(200, seconds=180)
    moved = [job for job in all_jobs(jobs) if job.folder == Path("b")]
    assert [job.claims for job in moved] == [1] * 100
    assert all(job.scores == moved[0].scores or job.scores for job in moved)


def test_a_result_that_its_owner_changed_is_kept(home, jobs, take_photo, start_all, done):
    take_photo(kind=Degradation.NOISE)
    start_all()
    done(1)
    changed = home / "output/cat.jpg"
    changed.write_bytes(b"the owner's own work")
    take_photo(kind=Degradation.MOTION)
    assert done(2)
    assert changed.read_bytes() == b"the owner's own work"
    assert all_jobs(jobs)[-1].decision is Decision.LEFT_ALONE


def test_photos_added_while_no_watcher_ran_are_found(home, take_photo, photomend, start_all, done):
    take_photo("a.jpg")
    start_all()
    done(1)
    take_photo("while/b.jpg", kind=Degradation.NOISE)
    photomend("watch")
    assert done(2)["while/b.jpg"][1] == Decision.RESTORED


def test_a_lost_database_is_rebuilt_from_the_outputs(
    home, jobs, take_photo, photomend, done, eventually, redis_server
):
    take_photo(kind=Degradation.NOISE)
    watcher, worker = photomend("watch"), photomend("work", *QUEUES)
    done(1)
    before = publishing.sha256(home / "output/cat.jpg")
    for process in (watcher, worker):
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=40)
    jobs.engine.dispose()
    for left in (home / "state").glob("jobs.db*"):
        left.unlink()
    from storage import database
    from storage.settings import settings

    database.migrate(settings().database)
    photomend("watch")
    photomend("work", *QUEUES)
    done(1)
    [job] = all_jobs(jobs)
    assert (job.decision, job.sha256) == (Decision.RESTORED, before)
    assert "there already" in job.reason
    assert publishing.sha256(home / "output/cat.jpg") == before


def test_queued_jobs_survive_the_loss_of_redis(
    jobs, take_photo, photomend, redis_server, eventually, done
):
    for number in range(5):
        take_photo(f"{number}.jpg")
    photomend("watch")
    eventually(lambda: counts(jobs) == {Status.QUEUED: 5})
    redis_server.client.flushall()
    photomend("work", "classify")
    done(5)


SLOW = """
import time
from tasks import guard
from tasks.lite import trial  # whose guard stays as fast as it is
judge = guard.judge
def slow(*args, **values):
    time.sleep({seconds})
    return judge(*args, **values)
guard.judge = slow
"""


@pytest.fixture
def start_slow(home, jobs, take_photo, photomend, eventually):
    """Start a watcher and a worker whose restoration takes `seconds` longer; wait until it runs."""

    def start(seconds: float, **environment: str):
        folder = home / "slow"
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(SLOW.format(seconds=seconds))
        take_photo(kind=Degradation.NOISE)
        photomend("watch", **environment)
        worker = photomend("work", *QUEUES, PYTHONPATH=str(folder), **environment)
        eventually(lambda: [j for j in all_jobs(jobs) if j.status is Status.RUNNING and j.category])
        return worker, all_jobs(jobs)[0]

    return start


def ended(process: int) -> bool:
    """Return whether the process has ended; a zombie has."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_hanging_child_is_ended_at_its_deadline_while_redis_is_away(
    jobs, start_slow, redis_server, eventually
):
    limits = {
        "PHOTOMEND_DEADLINE_SECONDS": "4", "PHOTOMEND_DEADLINE_SECONDS_PER_MEGAPIXEL": "0",
    }  # fmt: skip
    _, job = start_slow(seconds=90, **limits)
    redis_server.stop()
    eventually(lambda: ended(job.child), seconds=20)
    [job] = all_jobs(jobs)
    assert (job.status, job.attempts, job.error_kind) == (Status.QUEUED, 1, ErrorKind.DEADLINE)
    redis_server.start()
    eventually(lambda: counts(jobs) == {Status.FAILED: 1}, seconds=120)


TILES = """
import time
from storage.enums import Decision
from tasks import progress
from tasks.steps import classify
from tasks.worker import runtime
def step(job):
    with progress.of(10) as count:
        for _ in range(10):
            time.sleep(4)
            count(1)
    runtime.jobs().finish(job, Decision.CLEAN)
classify.classify = step
"""


def test_a_slow_step_is_not_ended_while_it_makes_progress(
    home, jobs, take_photo, photomend, eventually
):
    (home / "slow").mkdir()
    (home / "slow/sitecustomize.py").write_text(TILES)
    take_photo()
    photomend("watch")
    limit = {"PHOTOMEND_DEADLINE_SECONDS": "16", "PHOTOMEND_DEADLINE_SECONDS_PER_MEGAPIXEL": "0"}
    photomend("work", "classify", PYTHONPATH=str(home / "slow"), **limit)
    eventually(lambda: [job for job in all_jobs(jobs) if job.tiles_done], seconds=120)
    command = [Path(sys.executable).parent / "photomend", "status"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert re.search(r"\d of 10 tiles, about \d+(\.\d)? s left", shown), shown
    eventually(lambda: counts(jobs) == {Status.DONE: 1}, seconds=120)
    [job] = all_jobs(jobs)
    assert (job.attempts, job.seconds > 40) == (0, True)


def test_a_killed_child_is_recorded_while_redis_is_away(jobs, start_slow, redis_server, eventually):
    _, job = start_slow(seconds=90)
    redis_server.stop()
    os.kill(job.child, signal.SIGKILL)
    eventually(lambda: all_jobs(jobs)[0].error_kind is ErrorKind.CRASHED, seconds=10)


def test_a_cancelled_photo_ends_its_child_while_redis_is_away(
    jobs, start_slow, redis_server, eventually
):
    _, job = start_slow(seconds=90)
    redis_server.stop()
    jobs.cancel([job.id])
    eventually(lambda: ended(job.child), seconds=20)
    assert all_jobs(jobs)[0].status is Status.CANCELLED


def test_a_photo_that_kills_its_child_fails_after_three_attempts(
    home, jobs, take_photo, photomend, eventually
):
    folder = home / "poison"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import os, signal\nfrom tasks.steps import paths\nreserve = paths.reserve\n"
        "def poison(jobs, job):\n"
        "    if 'poison' in str(job.name): os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return reserve(jobs, job)\n"
        "paths.reserve = poison\n"
    )
    take_photo("poison.jpg", kind=Degradation.NOISE)
    take_photo("other.jpg", kind=Degradation.MOTION)
    photomend("watch")
    photomend("work", *QUEUES, PYTHONPATH=str(folder))
    eventually(lambda: counts(jobs) == {Status.FAILED: 1, Status.DONE: 1}, seconds=120)
    [failed] = [job for job in all_jobs(jobs) if job.status is Status.FAILED]
    assert (str(failed.name), failed.attempts) == ("poison.jpg", 3)


def test_a_photo_that_kills_its_child_is_tried_again_after_all_others(
    home, jobs, take_photo, photomend, eventually
):
    folder = home / "poison"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import os, signal\nfrom storage import eligibility\nleft_alone = eligibility.left_alone\n"
        "def poison(seen, allowed=()):\n"
        "    if 'poison' in seen.path.name: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return left_alone(seen, allowed)\n"
        "eligibility.left_alone = poison\n"
    )
    photomend("watch")
    for number, name in enumerate(("old.jpg", "poison.jpg"), 1):
        take_photo(name)
        eventually(lambda number=number: counts(jobs) == {Status.QUEUED: number})
    for number in range(19):
        take_photo(f"good-{number}.jpg")
    eventually(lambda: counts(jobs) == {Status.QUEUED: 21})
    photomend("work", *QUEUES, PYTHONPATH=str(folder))
    eventually(lambda: counts(jobs) == {Status.FAILED: 1, Status.DONE: 20}, seconds=120)
    [bad] = [job for job in all_jobs(jobs) if job.status is Status.FAILED]
    first, second, third = (
        event.at for event in search.events(jobs.engine, bad.id) if "claimed" in event.event
    )
    good = [job.finished_at for job in all_jobs(jobs) if job.status is Status.DONE]
    assert first < min(good) <= max(good) < second < third


def test_a_stopped_worker_finishes_its_photo(jobs, start_slow):
    worker, _ = start_slow(seconds=2)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=30) == 0
    [job] = all_jobs(jobs)
    assert (job.status, job.claims) == (Status.DONE, 2)


def test_a_stopped_worker_releases_a_long_job_within_half_a_minute(jobs, start_slow):
    worker, _ = start_slow(seconds=90)
    started = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    worker.wait(timeout=30)
    [job] = all_jobs(jobs)
    assert (job.status, job.attempts, job.error_kind) == (Status.QUEUED, 0, ErrorKind.STOPPED)
    assert time.monotonic() - started < 30


def test_an_idle_child_ends_and_the_next_photo_is_mended(
    home, jobs, take_photo, start_all, done, eventually
):
    take_photo("a.jpg", kind=Degradation.NOISE)
    worker = start_all(PHOTOMEND_IDLE_SECONDS="1")
    done(1)
    import psutil

    first = {child.pid for child in psutil.Process(worker.pid).children()}
    eventually(lambda: not first <= {c.pid for c in psutil.Process(worker.pid).children()})
    take_photo("b.jpg", kind=Degradation.MOTION)
    done(2)
    assert all_jobs(jobs)[1].attempts == 0


def test_the_removed_reflection_is_kept_on_request(home, jobs, take_photo, start_all, done):
    take_photo("ghost.jpg", kind=Degradation.REFLECTION)
    start_all(PHOTOMEND_PAPER='{"keep_reflection": true}')
    done(1)
    [job] = all_jobs(jobs)
    file = home / f"state/reflections/{job.id}.png"
    assert job.receipt["reflection"] == str(file)
    with Image.open(file) as kept, Image.open(home / "output/ghost.jpg") as mended:
        assert kept.size == mended.size
        assert max(high for _, high in kept.getextrema()) > 2
