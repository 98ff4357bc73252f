"""Check that everything photomend needs is available, and find what to do if it is not."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import sqlalchemy as sa

from daemon.console import session, targets
from daemon.console.output import span
from daemon.library_apps import immich_check
from daemon.reports import exposure, health, message_checks, space, worker_checks
from daemon.reports.finding import Finding
from daemon.supervising import redis_server
from storage import (
    atomic_files,
    availability,
    database,
    filesystems,
    installation,
    output_folder,
)
from storage.database import galleries, search, status
from storage.enums import EngineChoice, WatchMode
from storage.errors import PhotomendError, RedisMissing
from storage.settings import settings
from storage.settings_file import settings_file
from storage.settings_gallery import GallerySettings
from storage.text import counted
from storage.urls import without_password

CHECK_SECONDS = 10.0
"""A check of a share that takes longer fails, because the share hangs."""
CLOCK_SECONDS = 2.0
"""Largest difference between two clocks; a larger one makes the age of photos wrong."""


def run_checks() -> Iterator[Finding]:
    """Run all checks, one after the other."""
    yield _settings_file()
    found = _database()
    yield found
    state = status.summary(session.engine()) if found.well else None
    if state is not None:
        yield _clock()
        yield _processes(state)
    yield _redis(needed=state is not None and bool(state.processes or state.workers))
    yield _space("state folder", settings().state_dir)
    yield from message_checks.of(settings())
    watched = _galleries(from_database=found.well)
    if not watched:
        yield Finding("galleries", False, "there is none; start with: photomend up ~/Photos")
    for name, gallery in watched.items():
        for subject, check in (
            (f"gallery {name}", lambda g=gallery, n=name: _gallery(n, g, recorded=found.well)),
            (f"events in {name}", lambda g=gallery: _events(g)),
            (f"output of {name}", lambda g=gallery, n=name: _output(n, g, recorded=found.well)),
        ):
            yield _within_time(subject, check)
    libraries = worker_checks.libraries()
    yield libraries
    if libraries.well:
        yield worker_checks.decoding()
    yield worker_checks.engine()
    if settings().engine != EngineChoice.LITE and settings().paper.classifier_url:
        yield worker_checks.server()
    yield worker_checks.devices()
    if settings().immich.url:
        yield from immich_check.check(settings().immich, watched)


def _settings_file() -> Finding:
    file = settings_file()
    if reason := exposure.of_settings_file(file, settings()):
        return Finding("settings", False, reason)
    return Finding(
        "settings",
        True,
        f"{file} holds no password that others can read" if file else "there is no file",
    )


def _database() -> Finding:
    try:
        engine = database.open_checked(settings().database)
    except PhotomendError as error:
        return Finding("database", False, str(error))
    except sa.exc.DatabaseError as error:
        return Finding(
            "database", False, f"it cannot be used: {error.orig}; is its server running?"
        )
    except ImportError as error:
        return Finding(
            "database", False, f"it cannot be used ({error}); {installation.advice(error)}"
        )
    return Finding("database", True, f"{database.named(engine)} has the current schema")


def _clock() -> Finding:
    apart = abs(status.clock(session.engine()) - time.time())
    if apart > CLOCK_SECONDS:
        text = f"it differs from the database's clock by {span(apart)}; synchronise both"
        return Finding("clock", False, text)
    return Finding("clock", True, "it agrees with the database's clock")


def _processes(state: status.Summary) -> Finding:
    if not (state.processes or state.workers):
        return Finding("processes", True, "none runs")
    found = health.of_processes(state)
    return Finding("processes", not found, "; ".join(found) or "watcher and workers run")


def _redis(*, needed: bool) -> Finding:
    from tasks.worker import redis_client

    if not (needed or settings().redis_url or settings().redis_socket.exists()):
        try:
            text = f"none runs now; `photomend up` starts {redis_server.executable()}"
        except RedisMissing as error:
            return Finding("Redis", False, str(error))
        return Finding("Redis", True, text)
    where = without_password(settings().redis_url) or settings().redis_socket
    if reason := redis_client.trouble():
        own = "" if settings().redis_url else "; `photomend up` starts one, or set redis_url"
        text = f"it cannot be used at {where} ({reason}){own}"
        return Finding("Redis", False, text)
    return Finding("Redis", True, f"it takes notifications at {where}")


def _space(subject: str, folder: Path) -> Finding:
    existing = space.nearest_existing(folder)
    if os.statvfs(existing).f_flag & os.ST_RDONLY:
        return Finding(subject, False, f"{existing} is mounted read-only; mount it writable")
    if not os.access(existing, os.W_OK):
        text = f"this user may not write to {existing}; change its owner or mode"
        return Finding(subject, False, text)
    if shortage := space.shortage(folder):
        return Finding(subject, False, shortage)
    return Finding(subject, True, f"{folder} has {space.free_megabytes(folder):,} MB free")


def _galleries(*, from_database: bool) -> dict[str, GallerySettings]:
    if from_database:
        return {root.gallery: targets.gallery(root.gallery) for root in targets.roots()}
    return dict(settings().galleries)


def _within_time(subject: str, check: Callable[[], Finding]) -> Finding:
    """Run a check in a thread, which is abandoned after CHECK_SECONDS."""
    found: list[Finding] = []

    def run() -> None:
        try:
            found.append(check())
        except OSError as error:
            found.append(Finding(subject, False, f"{error.filename or ''}: {error.strerror}"))

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(CHECK_SECONDS)
    text = f"no answer after {span(CHECK_SECONDS)}; is its server running?"
    return found[0] if found else Finding(subject, False, text)


def _gallery(name: str, gallery: GallerySettings, *, recorded: bool) -> Finding:
    subject = f"gallery {name}"
    row = galleries.get(session.engine(), name) if recorded else None
    reason = availability.why_offline(
        gallery.path, gallery.mount_point, row.identity if row else None,
        lambda count: galleries.sample(session.engine(), name, count) if recorded else [],
    )  # fmt: skip
    if reason is not None:
        return Finding(subject, False, reason)
    if not os.access(gallery.path, os.R_OK | os.X_OK):
        text = f"this user may not read {gallery.path}; change its owner or mode"
        return Finding(subject, False, text)
    kind = filesystems.mount_of(os.path.realpath(gallery.path)).kind
    return Finding(subject, True, f"{gallery.path} is available ({kind})")


def _events(gallery: GallerySettings) -> Finding:
    subject, root = f"events in {gallery.path}", os.path.realpath(gallery.path)
    mount, budget = filesystems.mount_of(root), filesystems.watch_budget()
    if gallery.watch == WatchMode.POLLING or not mount.tells_events:
        return Finding(subject, True, f"it is scanned every {span(gallery.rescan_seconds)}")
    count = filesystems.folders(root, budget)
    if count > budget:
        text = (
            f"it has more folders than the {budget:,} that can be watched; raise the limit: "
            f"sysctl fs.inotify.max_user_watches={4 * budget}"
        )
        return Finding(subject, False, text)
    return Finding(subject, True, f"{counted(count, 'folder')}; up to {budget:,} can be watched")


def _output(name: str, gallery: GallerySettings, *, recorded: bool) -> Finding:
    """Check that the output is the right one; write, sync and rename a file as for a result."""
    root = gallery.output_root
    subject, folder = f"output {root}", space.nearest_existing(root)
    used = recorded and search.has_outputs(session.engine(), name)
    if reason := output_folder.why_not_ours(name, gallery, used=used):
        return Finding(subject, False, reason)
    if immich := next((p for p in (root, *root.parents) if (p / ".immich").exists()), None):
        text = f"it is in {immich}, where only immich may write; set another output"
        return Finding(subject, False, text)
    trial = folder / f".photomend-doctor-{socket.gethostname()}-{os.getpid()}"
    try:
        atomic_files.write(trial, b"photomend doctor")
        written_at = trial.stat().st_mtime
    except OSError as error:
        return Finding(subject, False, f"no file can be written to {folder}: {error.strerror}")
    finally:
        trial.unlink(missing_ok=True)
    if (apart := abs(written_at - time.time())) > CLOCK_SECONDS:
        text = f"the clock of its server differs by {span(apart)}; synchronise it"
        return Finding(subject, False, text)
    room = _space(subject, root)
    return room if not room.well else Finding(subject, True, f"it is writable; {room.text}")
