"""Galleries watched by real processes, with inotify and a database."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from storage.database import galleries, heartbeats, status
from storage.enums import BACKLOG, NEW_PHOTO, Decision, Status

pytestmark = pytest.mark.slow


def put(path: Path, data: bytes = b"photo") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def gallery_processes() -> list[psutil.Process]:
    children = psutil.Process().children()
    return [child for child in children if "daemon.watching.gallery_process" in child.cmdline()]


def test_a_new_photo_is_recorded_and_its_queue_notified(
    watching, scanned, rows, gallery, eventually
):
    watched = watching()
    scanned()
    began = time.monotonic()
    put(gallery / "2024/cat.jpg")
    eventually(lambda: "2024/cat.jpg" in rows())
    assert time.monotonic() - began < 2
    job = rows()["2024/cat.jpg"]
    assert (job.status, job.rank) == (Status.QUEUED, NEW_PHOTO)
    eventually(lambda: watched.notified == [("classify", job.id)])


def test_photos_in_quickly_made_nested_folders_are_found(
    watching, scanned, rows, gallery, eventually
):
    watching()
    scanned()
    wanted = set()
    for number in range(30):
        put(gallery / f"{number}/a/b/cat.jpg")
        wanted.add(f"{number}/a/b/cat.jpg")
    put(gallery.parent / "elsewhere/in/dog.jpg")
    (gallery.parent / "elsewhere").rename(gallery / "moved in")
    wanted.add("moved in/in/dog.jpg")
    eventually(lambda: rows().keys() == wanted, seconds=10)


def test_all_files_of_a_burst_of_20_000_are_found(watching, scanned, jobs, gallery, eventually):
    for number in range(20):
        (gallery / f"{number}").mkdir()
    watching()
    scanned()
    for number in range(20_000):
        file = os.open(f"{gallery}/{number % 20}/{number}.jpg", os.O_CREAT | os.O_WRONLY)
        os.write(file, b"photo")
        os.close(file)

    def found() -> int:
        return sum(
            len(galleries.known(jobs.engine, "g", Path(str(number)))) for number in range(20)
        )

    eventually(lambda: found() == 20_000, seconds=60)


@pytest.mark.parametrize("how", ["events", "polling"])
def test_copies_are_recorded_when_they_are_complete(
    watching, scanned, rows, gallery, eventually, how
):
    watching(watch=how, rescan_seconds=0.3, SETTLE_SECONDS=1.0)
    scanned()
    parts = 8
    slow, whole = gallery / "slow.jpg", put(gallery.parent / "whole.jpg", bytes(parts * 100))
    allocated = put(gallery / "allocated.jpg", bytes(parts * 100))
    copied = gallery / "copied.jpg.part"
    for _ in range(parts):
        with slow.open("ab") as file, copied.open("ab") as other, allocated.open("r+b") as third:
            for each in (file, other, third):
                each.write(bytes(100))
        time.sleep(0.4)
    assert rows() == {}
    copied.rename(gallery / "copied.jpg")
    shutil.copy2(whole, gallery / "moved.jpg")
    eventually(lambda: len(rows()) == 4, seconds=10)
    sizes = {name: job.fingerprint.split("-")[0] for name, job in rows().items()}
    assert sizes == dict.fromkeys(
        ("slow.jpg", "allocated.jpg", "copied.jpg", "moved.jpg"), str(parts * 100)
    )


def test_a_vanished_photo_is_recorded_and_may_return(watching, scanned, rows, gallery, eventually):
    for name in ("stays.jpg", "cat.jpg", "2024/a/dog.jpg"):
        put(gallery / name)
    watching()
    scanned()
    (gallery / "cat.jpg").rename(gallery.parent / "cat.jpg")
    (gallery / "2024").rename(gallery.parent / "2024")
    eventually(lambda: rows()["cat.jpg"].gone_at and rows()["2024/a/dog.jpg"].gone_at)
    assert rows()["stays.jpg"].gone_at is None
    (gallery.parent / "2024").rename(gallery / "2024")
    eventually(lambda: rows()["2024/a/dog.jpg"].gone_at is None)
    assert len(rows()) == 3


def test_the_full_scan_finds_changes_made_while_no_watcher_ran(
    watching, scanned, rows, gallery, eventually
):
    put(gallery / "old/cat.jpg")
    put(gallery / "stays.jpg")
    watched = watching(backlog="new")
    scanned()
    watched.stop()
    shutil.rmtree(gallery / "old")
    put(gallery / "new.jpg")
    watching()
    eventually(lambda: "new.jpg" in rows() and rows()["old/cat.jpg"].gone_at)
    assert rows()["new.jpg"].status is Status.QUEUED
    assert rows()["stays.jpg"].decision is Decision.LEFT_ALONE


def test_the_backlog_is_left_alone_if_only_new_photos_are_wanted(
    watching, scanned, rows, gallery, eventually
):
    put(gallery / "old.jpg")
    watched = watching(backlog="new")
    scanned()
    put(gallery / "new.jpg")
    eventually(lambda: len(rows()) == 2)
    old, new = rows()["old.jpg"], rows()["new.jpg"]
    assert (old.status, old.decision) == (Status.DONE, Decision.LEFT_ALONE)
    assert (new.status, new.rank) == (Status.QUEUED, NEW_PHOTO)
    eventually(lambda: watched.notified == [("classify", new.id)])


def test_the_whole_backlog_is_queued_after_new_photos(watching, scanned, rows, gallery):
    put(gallery / "old.jpg")
    watching(backlog="all")
    scanned()
    assert (rows()["old.jpg"].status, rows()["old.jpg"].rank) == (Status.QUEUED, BACKLOG)


def test_the_backlog_since_a_day_is_queued(watching, scanned, rows, gallery):
    for name, day in (("before.jpg", 1_600_000_000), ("after.jpg", 1_750_000_000)):
        os.utime(put(gallery / name), (day, day))
    watching(backlog="since 2024-01-01")
    scanned()
    assert {name: job.status for name, job in rows().items()} == {
        "before.jpg": Status.DONE, "after.jpg": Status.QUEUED,
    }  # fmt: skip


def test_a_photo_of_the_backlog_that_has_a_result_is_queued(watching, scanned, rows, gallery):
    for name in ("cat.heic", "dog.jpg", "cow.jpg"):
        put(gallery / "2024" / name)
    for name in ("cat.jpg", "dog.jpg"):
        put(gallery.parent / "output/2024" / name)
    watching(backlog="new")
    scanned()
    queued = {name for name, job in rows().items() if job.status is Status.QUEUED}
    assert queued == {"2024/cat.heic", "2024/dog.jpg"}


def test_a_gallery_that_is_missing_goes_offline_and_comes_back(
    watching, scanned, rows, jobs, gallery, eventually
):
    put(gallery / "cat.jpg")
    watching(IO_TIMEOUT_SECONDS=8)
    scanned()
    gallery.rename(gallery.parent / "away")
    eventually(lambda: not galleries.get(jobs.engine, "g").online)
    assert "is not there" in galleries.get(jobs.engine, "g").reason
    (gallery.parent / "away").rename(gallery)
    put(gallery / "dog.jpg")
    eventually(lambda: galleries.get(jobs.engine, "g").online and "dog.jpg" in rows())
    assert rows()["cat.jpg"].gone_at is None
    assert len(rows()) == 2


def test_a_gallery_replaced_by_an_empty_folder_is_offline_and_keeps_its_photos(
    watching, scanned, rows, jobs, gallery, eventually
):
    put(gallery / "cat.jpg")
    watching(IO_TIMEOUT_SECONDS=8)
    scanned()
    gallery.rename(gallery.parent / "away")
    gallery.mkdir()
    eventually(lambda: not galleries.get(jobs.engine, "g").online)
    assert "is empty" in galleries.get(jobs.engine, "g").reason
    assert rows()["cat.jpg"].gone_at is None
    gallery.rmdir()
    (gallery.parent / "away").rename(gallery)
    eventually(lambda: galleries.get(jobs.engine, "g").online)
    put(gallery / "dog.jpg")
    eventually(lambda: "dog.jpg" in rows())


def test_a_gallery_replaced_by_another_folder_is_offline(
    watching, scanned, rows, jobs, gallery, eventually
):
    put(gallery / "cat.jpg")
    watching(IO_TIMEOUT_SECONDS=8)
    scanned()
    gallery.rename(gallery.parent / "away")
    put(gallery / "stranger.jpg")
    eventually(lambda: not galleries.get(jobs.engine, "g").online)
    assert "holds 0 of 1 photo looked for" in galleries.get(jobs.engine, "g").reason
    assert rows().keys() == {"cat.jpg"}


def test_a_gallery_is_offline_from_the_hang_of_its_process_until_the_next_starts(
    watching, scanned, rows, jobs, gallery, eventually
):
    watching(IO_TIMEOUT_SECONDS=4)
    scanned()
    [frozen] = gallery_processes()
    frozen.send_signal(signal.SIGSTOP)
    eventually(lambda: not galleries.get(jobs.engine, "g").online)
    assert "does not answer" in galleries.get(jobs.engine, "g").reason
    eventually(lambda: galleries.get(jobs.engine, "g").online)
    assert not frozen.is_running()
    put(gallery / "cat.jpg")
    eventually(lambda: "cat.jpg" in rows())


def test_a_process_that_dies_is_started_again(watching, scanned, rows, gallery, eventually):
    watching()
    scanned()
    [process] = gallery_processes()
    process.kill()
    put(gallery / "cat.jpg")
    eventually(lambda: "cat.jpg" in rows())


def test_an_idle_gallery_is_never_taken_for_silent(watching, scanned, jobs):
    watching(WORKER_TIMEOUT_SECONDS=5)
    scanned()
    ages = []
    for _ in range(24):
        time.sleep(0.5)
        state = status.summary(jobs.engine)
        [row] = [process for process in state.processes if process.name == "gallery g"]
        ages.append(heartbeats.silence(row, state.now))
    assert max(ages) < 5


def test_gallery_processes_end_when_the_watcher_is_killed(home, jobs, eventually):
    program = "import threading; from daemon.watching.watcher import watch; watch(threading.Event(), print)"
    watcher = subprocess.Popen([os.sys.executable, "-c", program])
    eventually(lambda: (row := galleries.get(jobs.engine, "g")) and row.scanned_at)
    [child] = psutil.Process(watcher.pid).children()
    watcher.kill()
    watcher.wait()
    eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_an_unmounted_gallery_is_offline_until_it_is_mounted_again(home, jobs):
    if subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine does not allow user namespaces")
    program = f"""
import os, subprocess, threading, time
from pathlib import Path
from daemon.watching.watcher import watch
from storage import database
from storage.database import galleries
from storage.settings import settings
gallery, share = Path({str(home / "gallery")!r}), Path({str(home / "share")!r})
share.mkdir()
sh = lambda *words: subprocess.run(words, check=True)
sh("mount", "-t", "tmpfs", "nas", share)
(share / "cat.jpg").write_bytes(b"photo")
sh("mount", "--bind", share, gallery)
engine = database.open_engine(settings().database)
stop = threading.Event()
thread = threading.Thread(target=watch, args=(stop, print)); thread.start()
def until(happened):
    end = time.monotonic() + 40
    while not happened():
        if time.monotonic() > end:
            stop.set(); raise SystemExit("it did not happen")
        time.sleep(0.05)
until(lambda: (row := galleries.get(engine, "g")) and row.scanned_at)
sh("umount", "-l", gallery)
until(lambda: not galleries.get(engine, "g").online)
assert galleries.known(engine, "g", Path()).keys() == {{"cat.jpg"}}
sh("mount", "--bind", share, gallery)
until(lambda: galleries.get(engine, "g").online)
(gallery / "dog.jpg").write_bytes(b"photo")
until(lambda: "dog.jpg" in galleries.known(engine, "g", Path()))
assert galleries.known(engine, "g", Path()).keys() == {{"cat.jpg", "dog.jpg"}}
stop.set(); thread.join()
"""
    environment = os.environ | {"PHOTOMEND_IO_TIMEOUT_SECONDS": "8"}
    command = ["unshare", "-rm", os.sys.executable, "-c", program]
    run = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr


def test_a_gallery_with_more_folders_than_may_be_watched_is_polled(home, jobs):
    limit = Path("/proc/sys/user/max_inotify_watches")
    if subprocess.run(
        ["unshare", "-rm", "sh", "-c", f"echo 60 > {limit}"], check=False, capture_output=True
    ).returncode:
        pytest.skip("this machine does not allow to limit watches in a user namespace")
    for number in range(40):
        put(home / f"gallery/{number}/cat.jpg")
    program = f"""
import threading, time
from pathlib import Path
from daemon.watching.watcher import watch
from storage import database
from storage.database import galleries
from storage.settings import settings
Path({str(limit)!r}).write_text("60")
engine, stop = database.open_engine(settings().database), threading.Event()
thread = threading.Thread(target=watch, args=(stop, print)); thread.start()
end = time.monotonic() + 30
while not ((row := galleries.get(engine, "g")) and row.scanned_at) and time.monotonic() < end:
    time.sleep(0.05)
stop.set(); thread.join()
"""
    command = ["unshare", "-rm", os.sys.executable, "-c", program]
    run = subprocess.run(command, check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    row = galleries.get(jobs.engine, "g")
    assert row.photos == 40
    assert row.watching.startswith("polling (its folders are more than 30")


SLOW_NAMES = """
import time
from daemon.watching import scanner
is_photo_name = scanner.is_photo_name
def slow(name):
    time.sleep(0.1)
    return is_photo_name(name)
scanner.is_photo_name = slow
"""


@pytest.mark.slow
def test_a_long_scan_of_one_folder_is_not_a_share_that_hangs(
    home, rows, gallery, photomend, eventually
):
    for number in range(60):
        put(gallery / f"{number}.jpg")
    (home / "slow").mkdir()
    (home / "slow/sitecustomize.py").write_text(SLOW_NAMES)
    photomend("watch", PYTHONPATH=str(home / "slow"), PHOTOMEND_IO_TIMEOUT_SECONDS="3")
    eventually(lambda: len(rows()) == 60)
    assert "does not answer" not in (home / "log").read_text()
