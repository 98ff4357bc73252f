"""Look whether everything that photomend needs is there, and say what to do where it is not."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from threading import Thread

import sqlalchemy as sa

from daemon.console import session, targets
from daemon.console.output import span
from storage import atomic_files, availability, database, filesystems, installation
from storage.database import galleries, status
from storage.enums import QUEUES, EngineChoice, WatchMode
from storage.errors import PhotomendError
from storage.settings import settings
from storage.settings_gallery import GallerySettings
from storage.urls import without_password
from tasks import engines

WORKER = (
    "tasks.steps.run_step", "tasks.lite.engine", "tasks.lite.classifier", "onnxruntime", "pillow_heif",
    "rapidocr",
)  # fmt: skip
"""What every worker imports, sooner or later."""
LIBRARIES = ("torch", "transformers", "diffusers", "spandrel")
"""Of the paper engine."""
PATIENCE_SECONDS = 10.0
"""A share that says nothing for so long hangs."""
IMPORT_SECONDS = 120.0
"""The libraries may take so long to import from a slow disk."""
CLOCK_SECONDS = 2.0
"""Clocks that differ by more make photos look younger or older than they are."""


@dataclass(frozen=True)
class Finding:
    """What was looked at, whether it is well, and what it is or what to do."""

    subject: str
    well: bool
    text: str


def examine() -> Iterator[Finding]:
    """Look at everything, one thing after the other."""
    ready = _database()
    yield ready
    if ready.well:
        yield _clock()
    yield _redis()
    yield _room("state folder", settings().state_dir)
    known = _galleries(ready.well)
    if not known:
        yield Finding("galleries", False, "there is none; try: photomend up ~/Photos")
    for name, gallery in known.items():
        for subject, look in (
            (f"gallery {name}", lambda g=gallery, n=name: _gallery(n, g, known=ready.well)),
            (f"events in {name}", lambda g=gallery: _events(g)),
            (f"output of {name}", lambda g=gallery: _output(g)),
        ):
            yield _in_time(subject, look)
    yield _libraries()
    yield _engine()
    yield Finding("devices", True, _devices())


def _database() -> Finding:
    try:
        engine = database.open_engine(settings().database)
        database.check(engine)
    except PhotomendError as error:
        return Finding("database", False, str(error))
    except sa.exc.DatabaseError as error:
        return Finding("database", False, f"it cannot be used: {error.orig}; is its server up?")
    return Finding("database", True, f"{database.named(engine)} has the schema of this photomend")


def _clock() -> Finding:
    apart = abs(status.clock(session.engine()) - time.time())
    if apart > CLOCK_SECONDS:
        text = f"it differs from the database's by {span(apart)}; let both follow a time server"
        return Finding("clock", False, text)
    return Finding("clock", True, "it agrees with the database's")


def _redis() -> Finding:
    from redis.exceptions import RedisError

    from tasks.worker import notify

    where = without_password(settings().redis_url) or settings().redis_socket
    try:
        notify.waiting("classify")
    except (RedisError, OSError) as error:
        own = "" if settings().redis_url else "; `photomend up` starts one, or set redis_url"
        return Finding("Redis", False, f"none answers at {where} ({error}){own}")
    return Finding("Redis", True, f"it answers at {where}")


def _room(subject: str, folder: Path) -> Finding:
    there = _nearest(folder)
    free = shutil.disk_usage(there).free // 1_000_000
    least = settings().min_free_megabytes
    if free < least:
        return Finding(
            subject, False, f"{folder} has {free:,} MB free, needed {least:,}; make room"
        )
    if not os.access(there, os.W_OK):
        return Finding(subject, False, f"{there} cannot be written; give its owner's rights to us")
    return Finding(subject, True, f"{folder} has {free:,} MB free")


def _galleries(known: bool) -> dict[str, GallerySettings]:
    if known:
        return {root.gallery: targets.gallery(root.gallery) for root in targets.roots()}
    return dict(settings().galleries)


def _in_time(subject: str, look: Callable[[], Finding]) -> Finding:
    """Look in a thread that can be left behind."""
    found: list[Finding] = []

    def run() -> None:
        try:
            found.append(look())
        except OSError as error:
            found.append(Finding(subject, False, f"{error.filename or ''}: {error.strerror}"))

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    silent = f"it says nothing for {span(PATIENCE_SECONDS)}; is its server up?"
    return found[0] if found else Finding(subject, False, silent)


def _gallery(name: str, gallery: GallerySettings, *, known: bool) -> Finding:
    subject = f"gallery {name}"
    row = galleries.get(session.engine(), name) if known else None
    reason = availability.why_offline(
        gallery.path, gallery.mount_point, row.identity if row else None,
        lambda count: galleries.sample(session.engine(), name, count) if known else [],
    )  # fmt: skip
    if reason is not None:
        return Finding(subject, False, reason)
    if not os.access(gallery.path, os.R_OK | os.X_OK):
        return Finding(subject, False, f"{gallery.path} may not be read; let us: chmod, or a group")
    kind = filesystems.mount_of(os.path.realpath(gallery.path)).kind
    return Finding(subject, True, f"{gallery.path} is there ({kind})")


def _events(gallery: GallerySettings) -> Finding:
    subject, root = f"events in {gallery.path}", os.path.realpath(gallery.path)
    mount, budget = filesystems.mount_of(root), filesystems.watch_budget()
    if gallery.watch == WatchMode.POLLING or not mount.tells_events:
        return Finding(subject, True, f"it is walked every {span(gallery.rescan_seconds)}")
    count = filesystems.folders(root, budget)
    if count > budget:
        text = (
            f"it has more than {budget:,} folders; sysctl fs.inotify.max_user_watches={4 * budget}"
        )
        return Finding(subject, False, text)
    return Finding(subject, True, f"{count:,} folders, of {budget:,} that may be watched")


def _output(gallery: GallerySettings) -> Finding:
    """Write, sync and rename a file as a result would be."""
    root = gallery.output_root
    subject, folder = f"output {root}", _nearest(root)
    if immich := next((p for p in (root, *root.parents) if (p / ".immich").exists()), None):
        text = f"it lies in immich's own folder {immich}, which only immich may write; set output"
        return Finding(subject, False, text)
    trial = folder / f".photomend-doctor-{socket.gethostname()}-{os.getpid()}"
    try:
        atomic_files.write(trial, b"photomend doctor")
        written_at = trial.stat().st_mtime
    except OSError as error:
        return Finding(subject, False, f"{folder} does not take a file: {error.strerror}")
    finally:
        trial.unlink(missing_ok=True)
    if (apart := abs(written_at - time.time())) > CLOCK_SECONDS:
        return Finding(subject, False, f"its server's clock differs by {span(apart)}; set it right")
    room = _room(subject, root)
    return room if not room.well else Finding(subject, True, f"takes files; {room.text}")


def _nearest(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def _libraries() -> Finding:
    """Import what a worker needs, in a process that may crash."""
    try:
        ended = subprocess.run(
            [sys.executable, "-P", "-c", f"import {', '.join(WORKER)}"],
            check=False, capture_output=True, text=True, errors="replace",
            timeout=IMPORT_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        text = f"to import what a worker needs takes more than {span(IMPORT_SECONDS)}"
        return Finding("libraries", False, text)
    if ended.returncode:
        why = (ended.stderr.strip() or f"code {ended.returncode}").splitlines()[-1]
        mend = installation.mend_opencv() if "cv2" in ended.stderr else installation.mend()
        return Finding("libraries", False, f"no worker can start: {why}; {mend}")
    if others := " and ".join(installation.other_opencv()):
        text = f"{others} may overwrite opencv-python-headless; {installation.mend_opencv()}"
        return Finding("libraries", False, text)
    return Finding("libraries", True, "all that a worker needs can be imported")


def _engine() -> Finding:
    """Look whether the engine that is wanted has its libraries and weights; none is loaded."""
    wanted, paper = settings().engine, settings().paper
    if wanted == EngineChoice.LITE:
        return Finding("engine", True, "lite, which has all that it needs")
    if lacking := [name for name in LIBRARIES if find_spec(name) is None]:
        text = f"{wanted}: {', '.join(lacking)} not installed; {installation.get_libraries()}"
        return Finding("engine", False, text)
    if lacking := [name for step in paper.steps for name in engines.missing(step, paper)]:
        text = f"{wanted}: weights are missing; photomend weights pull {' '.join(lacking)}"
        return Finding("engine", wanted == EngineChoice.AUTO, text)
    taken = ", ".join(f"{step} by {engines.engine_of(step)}" for step in QUEUES)
    return Finding("engine", True, f"{wanted}: {taken}")


def _devices() -> str:
    cores = f"{os.cpu_count()} cores"
    if (tool := shutil.which("nvidia-smi")) is None:
        return f"{cores}, no NVIDIA GPU; the lite engine needs none"
    try:
        told = subprocess.run(
            [tool, "-L"], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True
        )
    except (subprocess.SubprocessError, OSError):
        return f"{cores}; nvidia-smi fails, so its driver may be broken; the lite engine goes on"
    return f"{cores}; " + "; ".join(line.split(" (UUID")[0] for line in told.stdout.splitlines())
