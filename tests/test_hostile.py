"""Watcher and worker with files that broke other programs, and with entries that are not photos.

Each job ends done or failed, with a reason; the worker neither hangs, nor stops, nor needs too much
memory.
"""

import os
import shutil
import socket
from collections import Counter
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from storage import publishing
from storage.database.records import Job
from storage.database.tables import jobs as table
from storage.enums import QUEUES, Decision, Degradation, ErrorKind, Status

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROBUST = Path(__file__).parents[2] / "shared/photos/clear/robust"
SUFFIXES = {".jpg", ".png", ".tif", ".tiff", ".webp", ".heif", ".avif"}
FILM = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(100)
MAX_MEGABYTES = 1500
"""Maximum memory of the worker's child process; its libraries need 200."""


def all_jobs(jobs) -> list[Job]:
    with jobs.engine.connect() as connection:
        return [Job.of(row) for row in connection.execute(table.select())]


def by_status(jobs) -> dict[Status, int]:
    """Return how many jobs have each status, without reading hundreds of rows again and again."""
    counted = sa.select(table.c.status, sa.func.count()).group_by(table.c.status)
    with jobs.engine.connect() as connection:
        return {Status(status): number for status, number in connection.execute(counted)}


@pytest.fixture
def gallery(home) -> Path:
    return home / "gallery"


@pytest.fixture
def all_ended(jobs, photomend, eventually):
    """Run a watcher and a worker until this many jobs have ended; return them by source."""

    def run(number: int) -> dict[str, Job]:
        photomend("watch", PHOTOMEND_ARRIVING_SECONDS="0")
        worker = photomend("work", *QUEUES, PHOTOMEND_ARRIVING_SECONDS="0")

        def have_ended() -> bool:
            counted = Counter(by_status(jobs))
            return counted[Status.DONE] + counted[Status.FAILED] == counted.total() >= number

        eventually(have_ended, seconds=800)
        assert worker.poll() is None
        [child] = psutil.Process(worker.pid).children()[-1:]
        inside = child.children()
        assert inside  # the jail in which it reads photos
        for process in (child, *inside):
            peak = Path(f"/proc/{process.pid}/status").read_text().split("VmHWM:")[1].split()[0]
            assert int(peak) / 1024 < MAX_MEGABYTES
        ended = all_jobs(jobs)
        assert all(job.claims == 1 or job.category for job in ended), "a child process died"
        assert all(job.error for job in ended if job.status is Status.FAILED)
        assert all(job.decision for job in ended if job.status is Status.DONE)
        return {os.fsdecode(job.source): job for job in ended}

    return run


@pytest.mark.skipif(not ROBUST.is_dir(), reason="needs the hostile photos in ../shared")
def test_each_hostile_file_ends_with_a_reason_and_no_worker_stops(gallery, all_ended):
    shutil.copytree(ROBUST, gallery, dirs_exist_ok=True)
    files = {str(p.relative_to(gallery)): p for p in gallery.rglob("*") if p.is_file()}
    photos = {name for name, path in files.items() if path.suffix.lower() in SUFFIXES}
    before = {name: publishing.sha256(path) for name, path in files.items()}
    ended = all_ended(len(photos))
    assert photos <= set(ended)
    failed = {job.error_kind for job in ended.values() if job.status is Status.FAILED}
    assert failed <= {ErrorKind.UNREADABLE, ErrorKind.TOO_LARGE}
    gain_maps = [ended[n] for n in photos if "supported_gainmap_writer_version" in n]
    assert gain_maps
    for job in gain_maps:
        assert job.status is Status.FAILED or job.decision is Decision.LEFT_ALONE
    assert {name: publishing.sha256(path) for name, path in files.items()} == before


def test_unusual_names_and_entries_films_and_huge_photos(home, gallery, take_photo, all_ended):
    names = [os.fsdecode(b"caf\xe9.jpg"), "cafe\u0301.jpg", "n" * 251 + ".jpg", "line\nbreak.jpg"]
    for name in names:
        take_photo(name, kind=Degradation.NOISE)
    for name in ("empty.jpg", "bomb.jpg", "film.jpg", "live.jpg"):
        take_photo(name, kind=Degradation.NOISE)
    (gallery / "empty.jpg").write_bytes(b"")
    (gallery / "film.jpg").write_bytes((gallery / "film.jpg").read_bytes() + FILM)
    (gallery / "live.mov").write_bytes(FILM)
    bomb = bytearray((gallery / "bomb.jpg").read_bytes())
    at = bomb.index(b"\xff\xc0") + 5
    bomb[at : at + 4] = (65000).to_bytes(2, "big") * 2
    (gallery / "bomb.jpg").write_bytes(bomb)
    (gallery / "loop").symlink_to(gallery)
    (gallery / "link.jpg").symlink_to(gallery / "nowhere.jpg")
    os.mkfifo(gallery / "fifo.jpg")
    (gallery / "locked").mkdir(mode=0o000)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(gallery / "socket.jpg"))
        ended = all_ended(len(names) + 4)
    assert set(ended) == {*names, "empty.jpg", "bomb.jpg", "film.jpg", "live.jpg"}
    for name in names:
        assert ended[name].decision is Decision.RESTORED, ended[name]
        assert publishing.sha256(home / "output" / ended[name].output) == ended[name].sha256
    assert ended["empty.jpg"].error_kind is ErrorKind.UNREADABLE
    assert ended["bomb.jpg"].error_kind is ErrorKind.TOO_LARGE
    for name in ("film.jpg", "live.jpg"):
        assert ended[name].decision is Decision.LEFT_ALONE
        assert "film" in ended[name].reason
