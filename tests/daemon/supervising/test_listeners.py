"""Daemons whose terminal, reader or log disk goes away: they go on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from storage import logs
from storage.database import galleries, status
from storage.enums import QUEUES, Status
from storage.settings import settings

pytestmark = pytest.mark.slow

PHOTOMEND = Path(sys.executable).with_name("photomend")
NAME = "\x1b[31mred\n.jpg"


@pytest.fixture
def start(home, monkeypatch):
    """Start a command of photomend, stopped at the end."""
    monkeypatch.setenv("PHOTOMEND_WORKERS", "1")
    started = []

    def start(*command: str, **options) -> subprocess.Popen[bytes]:
        started.append(
            subprocess.Popen(
                command, stdin=subprocess.DEVNULL, start_new_session=True,
                **({"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} | options),
            )
        )  # fmt: skip
        return started[-1]

    yield start
    for process in started:
        process.terminate()
        process.wait(60)


def supervised() -> list[psutil.Process]:
    """The processes of a `photomend up`: Redis, worker, watcher."""
    try:
        recorded = json.loads((settings().state_dir / "processes.json").read_text())
    except FileNotFoundError:
        return []
    return [psutil.Process(int(pid)) for pid, _ in recorded if psutil.pid_exists(int(pid))]


def test_nohup_keeps_up_running_after_a_hangup(home, start, eventually, take_photo):
    take_photo("cat.jpg")
    with (home / "nohup.out").open("wb") as out:
        one = start("nohup", str(PHOTOMEND), "up", stdout=out, stderr=out)
    eventually(lambda: len(supervised()) == 3)
    for process in (one, *supervised()[1:]):
        process.send_signal(signal.SIGHUP)
    eventually(lambda: "cat.jpg" in (home / "nohup.out").read_text())
    assert one.poll() is None
    assert "ended" not in (home / "nohup.out").read_text()


def test_a_hangup_stops_a_worker_like_a_stop(home, start, jobs, redis_server, eventually):
    redis = {"PHOTOMEND_REDIS_URL": redis_server.url}
    one = start(str(PHOTOMEND), "work", *QUEUES, env=os.environ | redis)
    eventually(lambda: psutil.Process(one.pid).children())
    time.sleep(3)  # until Celery's handlers are set, also on a busy machine
    one.send_signal(signal.SIGHUP)
    assert one.wait(60) == 0
    assert not status.summary(jobs.engine).workers


@pytest.mark.parametrize("kind", ["a closed pipe", "a full disk"])
def test_up_goes_on_although_nobody_takes_its_output(start, jobs, eventually, take_photo, kind):
    take_photo("cat.jpg")
    reader, writer = os.pipe()
    out = writer if kind == "a closed pipe" else os.open("/dev/full", os.O_WRONLY)
    one = start(str(PHOTOMEND), "up", stdout=out, stderr=out)
    os.close(reader)
    os.close(out)
    eventually(lambda: status.summary(jobs.engine).counts.jobs[Status.DONE])
    worker = supervised()[1]
    worker.kill()  # a sentence is printed
    eventually(lambda: len(supervised()) == 3 and worker not in supervised())
    one.terminate()
    assert one.wait(60) == 0


def test_processes_are_started_again_while_the_disk_of_their_logs_is_full(home, start, eventually):
    (home / "state/logs").mkdir()
    for name in ("redis", "watcher", "worker-1"):
        (home / f"state/logs/{name}.log").symlink_to("/dev/full")
    start(str(PHOTOMEND), "up")
    eventually(lambda: len(supervised()) == 3)
    worker = supervised()[1]
    worker.kill()
    eventually(lambda: len(supervised()) == 3 and worker not in supervised())


def test_no_name_of_a_file_or_gallery_reaches_a_terminal_or_a_log_as_it_is(home, jobs, monkeypatch):
    gallery = {"path": str(home / "gallery"), "output": str(home / "output")}
    monkeypatch.setenv("PHOTOMEND_GALLERIES", json.dumps({NAME: gallery}))
    place = {"host": NAME, "root": home / NAME, "output": home / NAME, "filesystem": "ext4"}
    galleries.note(jobs.engine, NAME, **place, watching=NAME, online=True)
    galleries.add(jobs.engine, NAME, Path(NAME), {NAME: "1"})
    photo = home / "gallery" / NAME
    photo.write_bytes(b"no photo")
    for words in (
        ["status"], ["status", "--check"], ["jobs"], ["show", "1"], ["explain", photo], ["doctor"],
        ["cancel", "1"], ["pause", "--gallery", NAME], ["show", NAME], ["migrate"],
    ):  # fmt: skip
        ended = subprocess.run([PHOTOMEND, *words], check=False, capture_output=True)
        printed = ended.stdout + ended.stderr
        assert b"\x1b[31m" not in printed and b"red\n.jpg" not in printed, (words, printed)
    record = logs.logging.makeLogRecord({"levelname": "INFO", "msg": "%s", "args": (NAME,)})
    assert logs.EscapedFormatter(logs.FORMAT).format(record) == r"INFO \x1b[31mred\n.jpg"
