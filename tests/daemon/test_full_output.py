"""A real disk that gets full, is freed, becomes read-only and writable again, under watcher and worker."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from storage.database import galleries, search, status
from storage.enums import Decision, Degradation, ErrorKind

pytestmark = pytest.mark.slow

MACHINE = """
import sys, signal
from storage.enums import QUEUES
output, bin = sys.argv[1:3]
os.makedirs(output)
sh("mount", "-t", "tmpfs", "-o", "size=8m", "disk", output)
def fill(): Path(output, "others").write_bytes(bytes(6_000_000))
fill()
log = open(sys.argv[3], "ab")
start = lambda *words: subprocess.Popen([bin, *words], stdout=log, stderr=log, env=os.environ | {"PHOTOMEND_MIN_FREE_MEGABYTES": "3"})
running = [start("watch"), start("work", *QUEUES)]
for line in sys.stdin:
    match line.strip():
        case "free": Path(output, "others").unlink()
        case "read-only": sh("mount", "-o", "remount,ro", output)
        case "writable": sh("mount", "-o", "remount,rw", output)
        case "list": print(sorted(os.listdir(output)), flush=True)
for process in running: process.terminate()
for process in running: process.wait(30)
"""


@pytest.fixture
def machine(home, redis_server, monkeypatch, namespace_program):
    """Tell a namespace, in which a watcher and a worker run, what happens to the disk of the output."""
    monkeypatch.setenv("PHOTOMEND_REDIS_URL", redis_server.url)
    monkeypatch.setenv("PHOTOMEND_RETRY_PAUSE_SECONDS", "1")
    photomend = Path(sys.executable).parent / "photomend"
    command = namespace_program(MACHINE)
    process = subprocess.Popen(
        [*command, str(home / "output"), str(photomend), str(home / "log")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ,
    )  # fmt: skip

    def tell(word):
        process.stdin.write(f"{word}\n")
        process.stdin.flush()

    def listed():
        tell("list")
        return process.stdout.readline()

    tell.listed = listed
    yield tell
    process.stdin.close()
    process.wait(60)
    process.stdout.close()
    print((home / "log").read_text(errors="replace"))


def test_photos_wait_for_a_disk_that_is_full_or_read_only_and_are_then_mended(
    home, jobs, machine, take_photo, eventually
):
    def held(kind):
        row = galleries.get(jobs.engine, "g")
        return row is not None and row.trouble_kind is kind

    def restored():
        return status.summary(jobs.engine).counts.decisions[Decision.RESTORED]

    take_photo("1.jpg", kind=Degradation.NOISE)
    take_photo("2.jpg", kind=Degradation.COMPRESSION)
    eventually(lambda: held(ErrorKind.DISK_FULL), 120)
    job = search.get(jobs.engine, 1)
    assert job.receipt is None and restored() == 0
    machine("free")
    eventually(lambda: restored() >= 1 and not held(ErrorKind.DISK_FULL), 180)
    machine("read-only")
    take_photo("3.jpg", kind=Degradation.SOFTNESS)
    eventually(lambda: held(ErrorKind.READ_ONLY), 120)
    assert all(job.receipt is None for job in search.versions(jobs.engine, "g", Path("3.jpg")))
    machine("writable")
    eventually(lambda: galleries.get(jobs.engine, "g").trouble is None, 180)
    log = (home / "log").read_text()
    assert log.count("gallery g waits (disk full)") == 1
    assert log.count("gallery g waits (read-only)") == 1
    assert ".tmp" not in machine.listed()
