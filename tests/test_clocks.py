"""The wall clock steps while real processes run.

A suspend looks the same to a process: the wall clock jumps, and the time since boot does not.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from storage.database import galleries, search, status
from storage.database import workers as worker_rows
from storage.database.jobs import Jobs
from storage.enums import QUEUES, Degradation, Status

sys.path.insert(0, str(Path(__file__).parent))
from wall_clock import FAKETIME, MISSING, Clock

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent
HOURS = {"forward": "+7200", "back": "-7200"}


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    if FAKETIME is None:
        pytest.skip(MISSING)
    return Clock(tmp_path / "clock")


@pytest.fixture
def held(jobs: Jobs, photomend, take_photo, eventually, clock):
    """Start all with that clock, and return the worker and its child, stopped at a photo."""

    def start() -> tuple[psutil.Process, psutil.Process]:
        take_photo("cat.jpg", kind=Degradation.NOISE)
        slow_heartbeat = {"PHOTOMEND_HEARTBEAT_SECONDS": "2", **clock.environment}
        photomend("watch", **clock.environment)
        worker = psutil.Process(photomend("work", *QUEUES, **slow_heartbeat).pid)
        eventually(lambda: (job := search.get(jobs.engine, 1)) and job.status is Status.RUNNING)
        child = psutil.Process(search.get(jobs.engine, 1).child)
        child.suspend()
        return worker, child

    return start


@pytest.mark.parametrize("direction", HOURS)
def test_a_step_of_the_clock_costs_no_photo_an_attempt(held, jobs, clock, eventually, direction):
    _, child = held()
    before = search.get(jobs.engine, 1).claims
    for _ in range(3):
        clock.set(HOURS[direction])
        eventually(lambda: _heartbeats_agree(jobs, float(HOURS[direction])))
        clock.set("+0")
        eventually(lambda: _heartbeats_agree(jobs, 0.0))
    job = search.get(jobs.engine, 1)
    assert (job.status, job.attempts, job.claims) == (Status.RUNNING, 0, before)
    child.resume()
    eventually(lambda: search.get(jobs.engine, 1).status is Status.DONE)


def _heartbeats_agree(jobs: Jobs, offset: float) -> bool:
    """Return whether the worker has sent a heartbeat since the clock was set."""
    state = status.summary(jobs.engine)
    return any(abs(state.now + offset - worker.heartbeat_at) < 60 for worker in state.workers)


@pytest.mark.parametrize("direction", HOURS)
def test_a_worker_that_dies_while_the_clock_steps_is_lost_in_time(
    held, jobs, photomend, clock, eventually, direction
):
    worker, child = held()
    for process in (worker, child):
        process.send_signal(signal.SIGKILL)
    clock.set(HOURS[direction])
    eventually(lambda: search.get(jobs.engine, 1).error == "its worker was lost", 30)
    photomend("work", *QUEUES, **clock.environment)
    eventually(lambda: search.get(jobs.engine, 1).status is Status.DONE)


def test_an_attempt_that_failed_while_the_clock_was_ahead_is_not_due_in_a_year(
    jobs, photomend, take_photo, clock, eventually
):
    take_photo("cat.jpg", kind=Degradation.NOISE)
    failing = {
        "FAILPOINT": "network", "FAILPOINT_HOW": "kill",
        "FAILPOINT_MARK": str(Path(os.environ["PHOTOMEND_STATE_DIR"], "m")),
    }  # fmt: skip
    clock.set("+31536000")
    photomend("watch", **clock.environment, PHOTOMEND_RETRY_PAUSE_SECONDS="20")
    slow = {"PHOTOMEND_RETRY_PAUSE_SECONDS": "20", **clock.environment}
    photomend("work", *QUEUES, **failing, **slow)
    eventually(lambda: (job := search.get(jobs.engine, 1)) and job.attempts == 1)
    clock.set("+0")
    eventually(lambda: search.get(jobs.engine, 1).status is Status.DONE)


def test_status_tells_a_suspend_from_silence(jobs, clock, monkeypatch):
    monkeypatch.setenv("PHOTOMEND_WORKER_TIMEOUT_SECONDS", "60")  # for a busy machine
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1"})
    worker_rows.heartbeat(jobs.engine, "w", "host", 1, QUEUES, "cpu")
    for offset in HOURS.values():
        clock.set(offset)
        ended = subprocess.run(
            [BIN / "photomend", "status"], env=os.environ | clock.environment, check=True,
            capture_output=True, text=True,
        )  # fmt: skip
        assert "MISSING" not in ended.stdout
