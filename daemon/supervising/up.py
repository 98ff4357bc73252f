"""`photomend up`: run Redis, the watcher and the workers, and start again those that end."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from types import FrameType
from typing import IO

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from daemon.console.exit_codes import Exit
from daemon.supervising import listeners, named_gallery, page_process, redis_server
from daemon.supervising.processes import ProcessFile, Start, SupervisedProcess
from daemon.supervising.progress import Progress
from daemon.supervising.python_command import SUPERVISED, python_command
from daemon.supervising.redis_server import OwnRedis
from storage import database, private_files
from storage.atomic_files import locked
from storage.database import galleries, pauses
from storage.database.processes import note_trouble
from storage.enums import QUEUES
from storage.errors import AlreadyRunning, DatabaseGone, NoWorker, RedisMissing
from storage.settings import settings
from storage.text import printable
from storage.urls import without_password

CHECK_SECONDS = 0.5
"""Pause between two checks of the processes."""
REDIS_START_SECONDS = 20.0
"""Longest wait for the first answer of a Redis that was started here."""
REDIS_ANSWER_SECONDS = 3.0
"""Longest wait for the first answer of the Redis in the settings."""
GIVE_UP_PAUSE_SECONDS = 8.0
"""With `--once`, end when all workers wait at least this long for their next start."""
STOP_SECONDS = 35.0
"""A process that runs this many seconds after SIGTERM is killed."""


def run(
    gallery: Path | None = None, output: Path | None = None, *, backlog: str | None = None,
    once: bool = False, page: bool = True, now: bool = False,
) -> int:  # fmt: skip
    """Run all processes until a signal arrives or, with `once`, until all photos are processed.

    Old photos of `gallery` are processed as `backlog` says, all if it is None; `now`: also outside the
    hours. Returns the exit code: with `once`, it tells whether photos wait that cannot be claimed.

    Raises:
        AlreadyRunning: another one uses the same state folder.
        RedisMissing: no Redis answers or can be started.
        NoWorker: with `once`, every worker ends soon after each start.
        SettingsError: there is no gallery, or `gallery` is not a folder.

    """
    named_gallery.use(
        named_gallery.settings_with(settings(), gallery, output, backlog),
        by_name=gallery is not None,
    )
    stop = Event()

    def stop_on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    listeners.may_leave()
    listeners.handle_stop(stop_on_signal)
    while True:
        try:
            return _run(stop, once=once, page=page and not once, now=now)
        except DatabaseGone as error:
            if stop.is_set():
                raise
            print(printable(error), flush=True)


def _run(stop: Event, *, once: bool, page: bool, now: bool) -> Exit:
    """Run everything in the state folder, which is locked meanwhile.

    Raises:
        DatabaseGone: the database was deleted, perhaps with the whole folder; all is stopped.

    """
    config = settings()
    private_files.make_folder(config.state_dir)
    with _locked_state(config.state_dir / "up.lock"):
        process_file = ProcessFile(config.state_dir / "processes.json")
        if count := process_file.stop_leftovers(config.stop_seconds):
            print(f"stopped {count} processes of a photomend up that was killed", flush=True)
        database.migrate(config.database)
        engine = database.open_engine(config.database)
        try:
            if now:
                pauses.let_go(engine)
            return _supervise(engine, process_file, stop, once=once, page=page)
        finally:
            engine.dispose()
            process_file.path.unlink(missing_ok=True)


@contextmanager
def _locked_state(lock: Path) -> Iterator[None]:
    """Hold the lock of the state folder; the kernel releases it when this process ends."""
    with locked(lock, wait=False) as file:
        if file is None:
            raise AlreadyRunning(
                f"photomend up is already running (process {lock.read_text() or 'unknown'}, "
                f"state folder {lock.parent}); stop it first, or set another state_dir"
            )
        file.truncate(0)
        file.write(str(os.getpid()).encode())
        yield


def _supervise(
    engine: sa.Engine, process_file: ProcessFile, stop: Event, *, once: bool, page: bool
) -> Exit:
    """Start the processes, start again those that end, and stop all when `stop` is set."""
    ended, redis = Exit.OK, None
    if not settings().redis_url:
        redis = OwnRedis("redis", redis_server.start, _log("redis"))
    workers = [
        _process(f"worker-{n + 1}", _photomend("work", *QUEUES))
        for n in range(settings().worker_count)
    ]
    watcher = _process("watcher", _photomend("watch"))
    processes = [*([redis] if redis else []), *workers, watcher]
    with Progress(engine) as progress:
        _print_changes(engine, progress)
        shown = page and page_process.can_start(progress.print)
        pages = [_process("page", _photomend("web"))] if shown else []
        processes += pages
        try:
            if redis is not None:
                redis.ensure_running()
                process_file.write(processes)
            _wait_for_redis(redis, stop)
            while not stop.is_set():
                try:
                    _ensure_running(engine, processes, process_file, progress)
                    if once and progress.all_done():
                        ended = Exit.WAITING if progress.waiting() else Exit.OK
                        break
                    if once:
                        _check_workers(workers)
                except (OSError, SQLAlchemyError) as error:  # such as a full disk
                    progress.print_problem(f"{error}".partition("\n")[0])
                stop.wait(CHECK_SECONDS)
            progress.print("stopping: watcher, workers, Redis")
        finally:
            _stop(watcher, [*pages, *workers], redis)
        with suppress(SQLAlchemyError):
            progress.update()
    with suppress(SQLAlchemyError):
        progress.print_summary()
    return ended


def _print_changes(engine: sa.Engine, progress: Progress) -> None:
    """Print a line for each gallery whose settings are not those that were applied last."""
    for name, gallery in settings().galleries.items():
        row = galleries.get(engine, name)
        if row is not None and row.settings and (changes := gallery.changes(row.settings)):
            progress.print(f"gallery {name} has other settings: {'; '.join(changes)}")


def _ensure_running(
    engine: sa.Engine, processes: list[SupervisedProcess], process_file: ProcessFile,
    progress: Progress,
) -> None:  # fmt: skip
    for process in processes:
        if sentence := process.ensure_running():
            progress.print(sentence)
            if process.keeps_ending():
                with suppress(SQLAlchemyError):
                    note_trouble(engine, process.name, sentence)
        # After each start, since this process may be killed; a full disk takes it later.
        with suppress(OSError):
            process_file.write(processes)
    progress.update()


def _check_workers(workers: list[SupervisedProcess]) -> None:
    """Check that a worker runs, or will.

    Raises:
        NoWorker: none runs, and each has ended soon after its start again and again.

    """
    if all(
        not worker.is_running() and worker.pause_seconds >= GIVE_UP_PAUSE_SECONDS
        for worker in workers
    ):
        line = workers[0].last_line() or f"see {workers[0].log}"
        raise NoWorker(f"no worker keeps running ({line}); `photomend doctor` looks for the cause")


def _stop(
    watcher: SupervisedProcess, workers: list[SupervisedProcess], redis: SupervisedProcess | None
) -> None:
    """Stop all processes: Redis last, because the others use it."""
    watcher.stop(STOP_SECONDS)
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.wait(STOP_SECONDS)
    if redis is not None:
        redis.stop(STOP_SECONDS)


def _wait_for_redis(own: OwnRedis | None, stop: Event) -> None:
    """Wait until Redis answers; `own` is the one started here, if any.

    If `own` ends, it is started again with an empty folder.

    Raises:
        RedisMissing: it does not answer in time.

    """
    deadline = time.monotonic() + (REDIS_START_SECONDS if own else REDIS_ANSWER_SECONDS)
    while not stop.is_set() and (trouble := redis_server.trouble()):
        if time.monotonic() > deadline:
            where = without_password(settings().broker)
            advice = "start it, or correct redis_url"
            if own is not None:
                another = "another Redis listens there; stop it, or set redis_url"
                advice = f"its log is {own.log}" if own.process else another
            raise RedisMissing(f"no Redis can be used at {where} ({trouble}); {advice}")
        if own is not None and own.process is not None and not own.is_running():
            redis_server.remove_data(settings().state_dir / "redis")
            own.ensure_running()
        if own is not None:
            own.ensure_running()
        time.sleep(0.1)


def _process(name: str, start: Start) -> SupervisedProcess:
    return SupervisedProcess(name, start, _log(name))


def _log(name: str) -> Path:
    return settings().state_dir / "logs" / f"{name}.log"


def _photomend(*words: str) -> Start:
    """Return a function that starts the photomend command with these arguments."""

    def start(log: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            python_command("daemon.cli", *words), stdin=subprocess.DEVNULL,
            stdout=log, stderr=log, start_new_session=True, env=os.environ | {SUPERVISED: "1"},
        )  # fmt: skip

    return start
