"""A real worker draws what the page asks for, in its jail, and a hang ends only the drawing."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from storage import preview_files, preview_requests
from storage.database import galleries, search
from storage.enums import PREVIEWS
from storage.settings import settings
from tasks.worker.redis_client import key
from tests.recorded import seen

pytestmark = pytest.mark.slow

LIMIT_SECONDS = 3.0
WORKER = f"""
from storage import preview_requests
preview_requests.DRAW_SECONDS = {LIMIT_SECONDS}
from tasks.worker import process
process.serve(["motion-blur"])
"""


@pytest.fixture
def worker(home, redis_server):
    """A worker with a short time limit, which serves one category only."""
    environment = os.environ | {"PHOTOMEND_REDIS_URL": redis_server.url}
    with (home / "log").open("ab") as log:
        started = subprocess.Popen(
            [sys.executable, "-P", "-c", WORKER], env=environment, cwd=home, stdout=log, stderr=log
        )
    yield psutil.Process(started.pid)
    started.terminate()
    started.wait(30)
    print((home / "log").read_text())


def jails(worker):
    """Return the processes below a worker that decode photos."""
    return [child for child in worker.children(recursive=True) if "-ISB" in child.cmdline()]


def test_a_worker_draws_in_its_jail_and_a_hang_ends_only_the_drawing(
    home, jobs, take_photo, redis_server, worker, eventually, monkeypatch
):
    monkeypatch.setattr(preview_requests, "DRAW_SECONDS", LIMIT_SECONDS)
    for name in "abc":
        take_photo(f"{name}.jpg")
    galleries.add(jobs.engine, "g", Path(), {f"{n}.jpg": seen(f"{n}.jpg") for n in "abc"})
    jobs.cancel([1, 2, 3])
    before = search.get(jobs.engine, 2)
    root = settings().state_dir

    def ask(job_id: int) -> None:
        preview_requests.ask(root, job_id)
        redis_server.client.lpush(key(PREVIEWS), job_id)

    ask(1)
    eventually(lambda: preview_requests.of(root, 1) is None)
    assert preview_files.of(root, 1).before
    stopped = jails(worker)
    assert len(stopped) == 1
    stopped[0].send_signal(signal.SIGSTOP)
    ask(2)
    eventually(lambda: preview_requests.of(root, 2).reason == preview_requests.ENDED)
    eventually(lambda: not stopped[0].is_running())
    ask(3)
    eventually(lambda: preview_requests.of(root, 3) is None)
    assert preview_files.of(root, 3).before
    assert preview_files.of(root, 2).before is None
    assert search.get(jobs.engine, 2) == before
    assert worker.is_running()
