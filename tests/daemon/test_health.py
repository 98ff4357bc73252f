"""`photomend status --check` and `doctor` find what a person must mend, with real processes."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from daemon.console.exit_codes import Exit
from storage.database import galleries, processes, status
from storage.database import workers as worker_rows
from storage.enums import QUEUES, Degradation, ErrorKind

BIN = Path(sys.executable).parent
FAILPOINTS = Path(__file__).parents[1] / "failpoints"


@pytest.fixture
def problems(home, redis_server, monkeypatch):
    """Return what `photomend status --check` finds."""
    monkeypatch.setenv("PHOTOMEND_REDIS_URL", redis_server.url)

    def found(*command: str) -> list[str]:
        ended = subprocess.run(
            [BIN / "photomend", *(command or ("status", "--check", "--json"))], check=False,
            capture_output=True, text=True,
        )  # fmt: skip
        assert "Traceback" not in ended.stderr
        if command:
            return ended.stdout.splitlines()
        listed = json.loads(ended.stdout)["problems"]
        assert ended.returncode == bool(listed)
        return listed

    return found


@pytest.fixture
def healthy(jobs, monkeypatch):
    """Rows as of a watcher and a worker that live."""
    monkeypatch.setenv("PHOTOMEND_WORKER_TIMEOUT_SECONDS", "60")
    processes.heartbeat(jobs.engine, "watcher", "maintenance", "gallery g")
    worker_rows.heartbeat(jobs.engine, "w", "host", 1, QUEUES, "cpu")


def change(jobs, statement: str) -> None:
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql(statement)


def test_nothing_is_wrong_while_all_live(problems, healthy):
    assert problems() == []
    assert "✓ processes: watcher and workers run" in problems("doctor")


def test_without_a_watcher_no_photo_is_found(problems, jobs, healthy):
    processes.remove(jobs.engine, ["watcher", "maintenance", "gallery g"])
    assert problems() == [
        "no watcher runs, so no new photo is found; start it: photomend up, or photomend watch"
    ]
    assert any(line.startswith("✗ processes: no watcher runs") for line in problems("doctor"))


@pytest.mark.parametrize("name", ["watcher", "maintenance", "gallery g"])
def test_a_process_without_heartbeat_is_named(problems, jobs, healthy, name):
    change(jobs, f"UPDATE processes SET uptime = uptime - 100 WHERE name = '{name}'")
    assert any(f"{name} on " in each and "has sent no heartbeat" in each for each in problems())


def test_a_gallery_that_was_added_to_the_settings_of_a_running_watcher_is_a_problem(
    problems, jobs, healthy
):
    processes.remove(jobs.engine, ["gallery g"])
    assert problems() == ["gallery g of the settings is not watched; start the watcher again"]


def test_nothing_finished_for_half_an_hour_although_photos_wait(problems, jobs, healthy):
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1", "b.jpg": "1", "c.jpg": "1"})
    deadline = {"seconds": 300, "seconds_per_megapixel": 60}
    change(jobs, "UPDATE jobs SET due_at = due_at - 4000")
    job = jobs.claim("w", QUEUES, child=os.getpid(), **deadline)
    jobs.end_with_error(job, ErrorKind.CRASHED, "the process that worked on it died")
    change(jobs, f"UPDATE jobs SET due_at = due_at + 100 WHERE id = {job.id}")
    jobs.claim("w", QUEUES, child=os.getpid(), **deadline)  # claims go on
    assert problems() == [
        "no photo has been finished yet, though photos wait; "
        + "the latest error: the process that worked on it died"
    ]


@pytest.mark.parametrize("trouble", ["memory", "away"])
def test_a_redis_that_takes_no_notifications(problems, healthy, redis_server, trouble):
    if trouble == "memory":
        redis_server.client.config_set("maxmemory", 1)
    else:
        redis_server.stop()
    [found] = problems()
    assert found.startswith("Redis cannot be used at redis+socket://")
    assert any(line.startswith("✗ Redis: it cannot be used") for line in problems("doctor"))


def test_a_full_disk_of_the_state_folder(problems, healthy, monkeypatch):
    monkeypatch.setenv("PHOTOMEND_MIN_FREE_MEGABYTES", "999999999")
    [found] = problems()
    assert found.startswith("the state folder") and "make room" in found


@pytest.mark.slow
def test_a_full_disk_of_the_database_is_named_although_nothing_can_be_read(home):
    small, photomend = home / "small", BIN / "photomend"
    small.mkdir()
    script = (
        f"mount -t tmpfs -o size=4m tmpfs {small} && {photomend} migrate; "
        f"dd if=/dev/zero of={small}/fill bs=64k 2>/dev/null; {photomend} status --check"
    )
    if subprocess.run(["unshare", "-rm", "true"], check=False).returncode:
        pytest.skip("user namespaces are not allowed here")
    ended = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script], check=False, capture_output=True, text=True,
        env=os.environ | {"PHOTOMEND_STATE_DIR": str(small / "state")},
    )  # fmt: skip
    assert ended.returncode == Exit.DATABASE
    assert ended.stderr.strip().endswith("has 0 MB free and needs 1; make room"), ended.stderr


def test_photos_that_a_wrong_clock_made_due_in_a_year(problems, jobs, healthy):
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1"})
    change(jobs, "UPDATE jobs SET due_at = due_at + 31536000")
    assert problems()[0].startswith("a wrong clock made 1 photo due in an unlikely future")


@pytest.mark.slow
def test_watcher_maintenance_and_galleries_send_heartbeats(
    problems, photomend, jobs, eventually, monkeypatch
):
    monkeypatch.setenv("PHOTOMEND_WORKER_TIMEOUT_SECONDS", "10")  # for a busy machine
    watcher = psutil.Process(photomend("watch").pid)
    photomend("work", *QUEUES)
    eventually(lambda: problems() == [])
    assert {p.name for p in status.summary(jobs.engine).processes} >= {
        "watcher", "maintenance", "gallery g",
    }  # fmt: skip
    [gallery] = watcher.children()
    gallery.suspend()
    eventually(lambda: any(each.startswith("gallery g on") for each in problems()))
    gallery.resume()
    eventually(lambda: problems() == [])
    watcher.suspend()
    eventually(lambda: any(each.startswith("no watcher runs") for each in problems()))
    watcher.resume()
    eventually(lambda: problems() == [])
    watcher.send_signal(signal.SIGTERM)
    watcher.wait(60)
    assert not status.summary(jobs.engine).processes
    assert problems()[0].startswith("no watcher runs")


@pytest.mark.slow
def test_a_crash_loop_under_up_is_a_problem_with_the_last_line_of_its_log(
    problems, eventually, without_opencv, monkeypatch
):
    monkeypatch.setenv("PHOTOMEND_WORKERS", "1")
    one = subprocess.Popen([BIN / "photomend", "up"], stdout=subprocess.DEVNULL)
    try:
        eventually(
            lambda: any(
                each.startswith("worker-1 on ") and "keeps ending" in each and "libGL" in each
                for each in problems()
            )
        )
    finally:
        one.terminate()
        one.wait(60)


def test_a_worker_that_cannot_start_under_systemd_is_a_problem_with_its_reason(
    problems, jobs, healthy, photomend, without_opencv
):
    assert photomend("work", *QUEUES).wait(60) == 1
    [found] = problems()
    assert re.match(r"worker of classify,\S+ on \S+ keeps ending: libGL", found)
    change(jobs, "UPDATE processes SET trouble_at = trouble_at - 301")
    assert problems() == []


@pytest.mark.slow
def test_a_worker_whose_child_dies_again_and_again_claims_nothing_for_a_while_and_says_why(
    problems, photomend, jobs, eventually, take_photo, home
):
    for number in range(9):
        take_photo(f"{number}.jpg", kind=Degradation.NOISE)
    photomend("watch", PHOTOMEND_RETRY_PAUSE_SECONDS="5")
    photomend(
        "work", *QUEUES, PYTHONPATH=str(FAILPOINTS), FAILPOINT="classify", FAILPOINT_HOW="always",
        PHOTOMEND_RETRY_PAUSE_SECONDS="5",
    )  # fmt: skip
    eventually(lambda: any("cannot be used since" in each for each in problems()), 120)
    [found] = [each for each in problems() if "cannot be used since" in each]
    assert "its child process was started more than 5 times in a minute; the last one died" in found
    assert "jobs wait and are tried again one by one" in (home / "log").read_text()
