"""Everything on this machine with one command: Redis, database, watcher and workers."""

import dataclasses
import os
import signal
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

from daemon.supervising import redis_server
from daemon.supervising.children import python_command
from daemon.supervising.processes import Member, Register, Start
from daemon.supervising.progress import Live
from storage import database
from storage.atomic_files import locked
from storage.enums import QUEUES, EngineChoice
from storage.errors import AlreadyRunning, RedisMissing, SettingsError
from storage.settings import PREFIX, Settings, make, settings
from storage.settings_gallery import GallerySettings
from storage.text import printable
from storage.urls import without_password

TICK_SECONDS = 0.5
REDIS_SECONDS = 20.0
"""So long a Redis of our own may take to answer …"""
ELSEWHERE_SECONDS = 3.0
"""… and one that is said to run."""
STOP_SECONDS = 35.0


def run(
    gallery: Path | None = None, output: Path | None = None, *, backlog: str | None = None,
    once: bool = False,
) -> int:  # fmt: skip
    """Run everything until a signal comes or, with `once`, until what is there is mended.

    A gallery that is named here is mended whole unless `backlog` says otherwise.

    Raises:
        AlreadyRunning: another one lives with the same state folder.
        RedisMissing: no Redis answers or can be started.
        SettingsError: there is no gallery, or the one that is named cannot be.

    """
    _use(_with_gallery(settings(), gallery, output, backlog))
    stop = Event()

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ask_to_stop)
    known = settings()
    known.state_dir.mkdir(parents=True, exist_ok=True)
    with _alone(known.state_dir / "up.lock"):
        register = Register(known.state_dir / "processes.json")
        if left := register.end_left(known.stop_seconds):
            print(f"ended {left} processes of an earlier photomend up that was killed", flush=True)
        database.migrate(known.database)
        engine = database.open_engine(known.database)
        try:
            _keep(engine, register, stop, once=once)
        finally:
            engine.dispose()
            register.file.unlink(missing_ok=True)
    return 0


def _with_gallery(
    known: Settings, path: Path | None, output: Path | None, backlog: str | None
) -> Settings:
    """Return the settings with the gallery of the command line as the only one."""
    if path is None:
        if not known.galleries:
            raise SettingsError(
                "name a folder: photomend up ~/Photos (or add a gallery to the settings)"
            )
        return known
    folder = path.expanduser().resolve()
    if not folder.is_dir():
        raise SettingsError(f"{path} is no folder")
    name, gallery = next(
        ((n, g) for n, g in known.galleries.items() if g.path.resolve() == folder),
        (printable(folder), GallerySettings(folder)),
    )
    wishes = {"backlog": backlog or "all"}
    if output is not None:
        wishes["output"] = str(output.expanduser().resolve())
    values = {"path": str(folder)} | _values(gallery) | wishes
    checked = make({"galleries": {name: values}}, "the command line")
    return dataclasses.replace(known, galleries=checked.galleries)


def _values(gallery: GallerySettings) -> dict[str, object]:
    default = GallerySettings(gallery.path)
    return {
        item.name: value
        for item in dataclasses.fields(gallery)
        if (value := getattr(gallery, item.name)) != getattr(default, item.name)
    }


def _use(known: Settings) -> None:
    """Make these the settings of this process and of those that it starts."""
    os.environ[PREFIX + "CONFIG"] = os.devnull
    os.environ |= known.to_environment()
    settings.cache_clear()


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold the lock of the state folder; the kernel lets it go however this process ends."""
    with locked(lock, wait=False) as file:
        if file is None:
            raise AlreadyRunning(
                f"photomend up runs already (process {lock.read_text() or 'unknown'}, "
                f"state folder {lock.parent}); stop it first, or set another state_dir"
            )
        file.truncate(0)
        file.write(str(os.getpid()).encode())
        yield


def _keep(engine: sa.Engine, register: Register, stop: Event, *, once: bool) -> None:
    """Start the processes, start again what dies, and stop them all in the end."""
    redis = None if settings().redis_url else _member("redis", redis_server.start)
    workers = [_member(f"worker-{n + 1}", _command("work", *QUEUES)) for n in range(_workers())]
    watcher = _member("watcher", _command("watch"))
    members = [*([redis] if redis else []), *workers, watcher]
    with Live(engine) as live:
        try:
            if redis is not None:
                redis.care()
                register.write(members)
            _await_redis(redis, stop)
            while not stop.is_set():
                try:
                    _care(members, register, live)
                    if once and live.all_done():
                        break
                except (OSError, SQLAlchemyError) as error:  # a full disk, a database that is away
                    live.complain(f"{error}".partition("\n")[0])
                stop.wait(TICK_SECONDS)
            live.say("stopping: watcher, workers, Redis")
        finally:
            _end(watcher, workers, redis)
        with suppress(SQLAlchemyError):
            live.show()
    with suppress(SQLAlchemyError):
        live.summarise()


def _care(members: list[Member], register: Register, live: Live) -> None:
    for member in members:
        if happened := member.care():
            live.say(happened)
        register.write(members)  # at once: who is not written down is not found
    live.show()


def _end(watcher: Member, workers: list[Member], redis: Member | None) -> None:
    """End all, the ones that need others first."""
    watcher.end(STOP_SECONDS)
    for worker in workers:
        worker.ask()
    for worker in workers:
        worker.wait(STOP_SECONDS)
    if redis is not None:
        redis.end(STOP_SECONDS)


def _await_redis(member: Member | None, stop: Event) -> None:
    deadline = time.monotonic() + (REDIS_SECONDS if member else ELSEWHERE_SECONDS)
    while not stop.is_set() and not redis_server.answers():
        if time.monotonic() > deadline:
            where = without_password(settings().broker)
            look = f"; look into {member.log}" if member else ""
            raise RedisMissing(f"no Redis answers at {where}{look}")
        if member is not None and member.process is not None and not member.lives():
            redis_server.discard(settings().state_dir / "redis")
            member.care()
        if member is not None:
            member.care()
        time.sleep(0.1)


def _workers() -> int:
    """Return how many workers to start; the paper's networks take the memory of all of them."""
    known = settings()
    wanted = 1 if known.engine != EngineChoice.LITE else max(1, (os.cpu_count() or 1) // 2)
    return known.workers or wanted


def _member(name: str, start: Start) -> Member:
    return Member(name, start, settings().state_dir / "logs" / f"{name}.log")


def _command(*words: str) -> Start:
    def start(log: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            python_command("daemon.cli", *words), stdin=subprocess.DEVNULL,
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip

    return start
