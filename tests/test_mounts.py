"""Full, read-only and unmounted disks: no photo is lost, no attempt is counted, and work resumes.

The tests run in a user namespace of their own, where mounting needs no privileges.
"""

import os
import subprocess
from pathlib import Path

import pytest

from storage import publishing
from storage.database import galleries
from storage.database.records import Job
from storage.database.tables import jobs as table
from storage.enums import QUEUES, Degradation, ErrorKind, Status

pytestmark = pytest.mark.slow

INSIDE = "INSIDE_NAMESPACE" in os.environ
CASES = ("full", "read_only", "gallery_unmounted", "output_unmounted")
inside = pytest.mark.skipif(not INSIDE, reason="started in a namespace by test_in_a_namespace")


def mount(*words: str | Path) -> None:
    subprocess.run(["mount", *words], check=True)


def unmount(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", folder], check=True)


def all_jobs(jobs) -> list[Job]:
    with jobs.engine.connect() as connection:
        return [Job.of(row) for row in connection.execute(table.select().order_by(table.c.id))]


@pytest.mark.skipif(INSIDE, reason="starts the other tests, outside the namespace")
@pytest.mark.parametrize("case", CASES)
def test_in_a_namespace(case, run_inside):
    if subprocess.run(["unshare", "-rm", "true"], check=False).returncode:
        pytest.skip("user namespaces are not allowed here")
    run_inside("-rm", __file__, f"when_{case}", "INSIDE_NAMESPACE")


@pytest.fixture
def start_all(photomend):
    def start() -> None:
        photomend("watch")
        photomend("work", *QUEUES)

    return start


@inside
def test_when_full(home, jobs, take_photo, start_all, eventually):
    output = home / "output"
    output.mkdir()
    mount("-t", "tmpfs", "-o", "size=4m", "tmpfs", output)
    filler = output / "filler"
    filler.write_bytes(b"\0" * 3_600_000)
    take_photo(kind=Degradation.NOISE)
    start_all()
    eventually(lambda: all_jobs(jobs) and all_jobs(jobs)[0].error_kind is ErrorKind.DISK_FULL)
    assert all_jobs(jobs)[0].attempts == 0
    filler.unlink()
    eventually(lambda: all_jobs(jobs)[0].status is Status.DONE)
    assert publishing.sha256(output / "cat.jpg") == all_jobs(jobs)[0].sha256
    assert not list(publishing.temporaries(output))


@inside
def test_when_read_only(home, jobs, take_photo, start_all, eventually):
    output = home / "output"
    output.mkdir()
    mount("-t", "tmpfs", "-o", "size=64m", "tmpfs", output)
    take_photo("first.jpg", kind=Degradation.NOISE)
    start_all()
    eventually(lambda: all_jobs(jobs) and all_jobs(jobs)[0].status is Status.DONE)
    mount("-o", "remount,ro", output)
    take_photo("second.jpg", kind=Degradation.MOTION)
    eventually(lambda: all_jobs(jobs)[-1].error_kind is ErrorKind.READ_ONLY)
    assert all_jobs(jobs)[-1].attempts == 0
    mount("-o", "remount,rw", output)
    eventually(lambda: all_jobs(jobs)[-1].status is Status.DONE)


@inside
def test_when_gallery_unmounted(home, jobs, take_photo, start_all, eventually):
    disk, gallery = home / "disk", home / "gallery"
    disk.mkdir()
    mount("--bind", disk, gallery)
    for number in range(3):
        take_photo(f"{number}.jpg")
    start_all()
    eventually(lambda: [j.status for j in all_jobs(jobs)] == [Status.DONE] * 3)
    eventually(lambda: galleries.get(jobs.engine, "g").scanned_at)
    unmount(gallery)
    eventually(lambda: not galleries.get(jobs.engine, "g").online)
    assert not list(gallery.iterdir())
    assert all(job.gone_at is None for job in all_jobs(jobs))
    mount("--bind", disk, gallery)
    eventually(lambda: galleries.get(jobs.engine, "g").online)
    take_photo("new.jpg", kind=Degradation.NOISE)
    eventually(lambda: [j.status for j in all_jobs(jobs)] == [Status.DONE] * 4)
    assert all(job.attempts == 0 for job in all_jobs(jobs))


@inside
def test_when_output_unmounted(home, jobs, take_photo, start_all, eventually):
    disk, output = home / "disk", home / "output"
    disk.mkdir()
    output.mkdir()
    mount("--bind", disk, output)
    take_photo("first.jpg", kind=Degradation.NOISE)
    start_all()
    eventually(lambda: all_jobs(jobs) and all_jobs(jobs)[0].status is Status.DONE)
    unmount(output)
    take_photo("second.jpg", kind=Degradation.MOTION)
    eventually(lambda: all_jobs(jobs)[-1].error_kind is ErrorKind.OFFLINE)
    assert not list(output.iterdir())
    mount("--bind", disk, output)
    eventually(lambda: all_jobs(jobs)[-1].status is Status.DONE)
    assert all_jobs(jobs)[-1].attempts == 0
    assert publishing.sha256(disk / "second.jpg") == all_jobs(jobs)[-1].sha256
