"""Check that everything photomend needs is available, and find what to do if it is not."""

import os
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
from daemon.reports import exposure, health, space
from storage import (
    atomic_files,
    availability,
    database,
    filesystems,
    installation,
    output_folder,
)
from storage.database import galleries, search, status
from storage.enums import QUEUES, EngineChoice, WatchMode
from storage.errors import PhotomendError
from storage.settings import settings, settings_file
from storage.settings_gallery import GallerySettings
from storage.urls import without_password
from tasks import engines, gpu_probe

WORKER_MODULES = (
    "tasks.steps.run_step", "tasks.lite.engine", "tasks.lite.classifier", "onnxruntime", "pillow_heif",
    "rapidocr",
)  # fmt: skip
"""The modules that every worker imports."""
CHECK_SECONDS = 10.0
"""A check of a share that takes longer fails, because the share hangs."""
IMPORT_SECONDS = 120.0
"""Longest time for the import of all libraries, from a slow disk."""
CLOCK_SECONDS = 2.0
"""Largest difference between two clocks; a larger one makes the age of photos wrong."""


@dataclass(frozen=True)
class Finding:
    """The result of a check; the text says what was found and what to do."""

    subject: str
    well: bool
    text: str


def run_checks() -> Iterator[Finding]:
    """Run all checks, one after the other."""
    yield _settings_file()
    found = _database()
    yield found
    if found.well:
        yield _clock()
        yield _processes()
    yield _redis()
    yield _space("state folder", settings().state_dir)
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
    libraries = _libraries()
    yield libraries
    if libraries.well:
        yield _decoding()
    yield _engine()
    if settings().engine != EngineChoice.LITE and settings().paper.classifier_url:
        yield _server()
    yield _devices()


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
    return Finding("database", True, f"{database.named(engine)} has the current schema")


def _clock() -> Finding:
    apart = abs(status.clock(session.engine()) - time.time())
    if apart > CLOCK_SECONDS:
        text = f"it differs from the database's clock by {span(apart)}; synchronise both"
        return Finding("clock", False, text)
    return Finding("clock", True, "it agrees with the database's clock")


def _processes() -> Finding:
    state = status.summary(session.engine())
    if not (state.processes or state.workers):
        return Finding("processes", True, "none runs")
    found = health.of_processes(state)
    return Finding("processes", not found, "; ".join(found) or "watcher and workers run")


def _redis() -> Finding:
    from tasks.worker import redis_client

    where = without_password(settings().redis_url) or settings().redis_socket
    if reason := redis_client.trouble():
        own = "" if settings().redis_url else "; `photomend up` starts one, or set redis_url"
        text = f"it cannot be used at {where} ({reason}){own}"
        return Finding("Redis", False, text)
    return Finding("Redis", True, f"it takes notifications at {where}")


def _space(subject: str, folder: Path) -> Finding:
    existing = space.nearest_existing(folder)
    if shortage := space.shortage(folder):
        return Finding(subject, False, shortage)
    if not os.access(existing, os.W_OK):
        text = f"this user may not write to {existing}; change its owner or mode"
        return Finding(subject, False, text)
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
    return Finding(subject, True, f"{count:,} folders; up to {budget:,} can be watched")


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


def _libraries() -> Finding:
    """Import the modules of a worker in another process, since a library may crash."""
    try:
        imported = subprocess.run(
            [sys.executable, "-P", "-c", f"import {', '.join(WORKER_MODULES)}"],
            check=False, capture_output=True, text=True, errors="replace",
            timeout=IMPORT_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        text = f"importing those of a worker takes more than {span(IMPORT_SECONDS)}"
        return Finding("libraries", False, text)
    if imported.returncode:
        reason = (imported.stderr.strip() or f"code {imported.returncode}").splitlines()[-1]
        advice = installation.mend_opencv() if "cv2" in imported.stderr else installation.mend()
        return Finding("libraries", False, f"no worker can start: {reason}; {advice}")
    if others := " and ".join(installation.other_opencv()):
        text = f"{others} may overwrite opencv-python-headless; {installation.mend_opencv()}"
        return Finding("libraries", False, text)
    return Finding("libraries", True, "all that a worker needs can be imported")


def _decoding() -> Finding:
    """Start the process that decodes photos, and name what holds it in.

    A kernel that lacks a part is no problem that the owner must mend.
    """
    from storage import jail

    try:
        with jail.used() as process:
            confined = process.confinement()
    except OSError as error:
        return Finding("decoding", False, f"{error.strerror}; {installation.mend()}")
    if confined.is_complete:
        held = f"Landlock {confined.landlock} and a filter of system calls"
        return Finding("decoding", True, f"in a process without files and network, by {held}")
    return Finding("decoding", True, f"with less protection: {'; '.join(confined.lacks)}")


def _engine() -> Finding:
    """Check that the libraries and weights of the chosen engine exist, without loading them."""
    choice, paper = settings().engine, settings().paper
    if choice == EngineChoice.LITE:
        return Finding("engine", True, "lite; it needs no other libraries or weights")
    if missing := [name for name in installation.LIBRARIES if find_spec(name) is None]:
        text = f"{choice}: {', '.join(missing)} not installed; {installation.get_libraries()}"
        return Finding("engine", False, text)
    if missing := [name for step in paper.steps for name in engines.missing(step, paper)]:
        text = (
            f"{choice}: weights are missing; fetch them: photomend weights pull {' '.join(missing)}"
        )
        return Finding("engine", choice == EngineChoice.AUTO, text)
    used = ", ".join(f"{step} by {engines.engine_of(step)}" for step in QUEUES)
    return Finding("engine", True, f"{choice}: {used}")


def _server() -> Finding:
    """Ask the classifier's server about a grey picture, as a worker does."""
    from tasks import loading

    paper = settings().paper
    net = f"{paper.classifier_net} on {without_password(paper.classifier_url)}"
    try:
        understands = loading.server_names_a_letter(paper)
    except PhotomendError as error:
        return Finding("classifier", False, str(error))
    if not understands:
        text = "does not begin its answer with a letter, so photos stay unsure; choose another net"
        return Finding("classifier", False, f"{net} {text}")
    if reason := exposure.of_photos(paper.classifier_url):
        return Finding("classifier", False, f"{net} answers; {reason}")
    return Finding("classifier", True, f"{net} answers")


def _devices() -> Finding:
    """Check that the paper engine can compute on the GPU, if there is one and if it is in use."""
    cores = f"{os.cpu_count()} cores"
    if not gpu_probe.has_card():
        return Finding("devices", True, f"{cores}, no GPU; the lite engine needs none")
    if settings().engine == EngineChoice.LITE:
        return Finding("devices", True, f"{cores}, a GPU that the lite engine does not need")
    gpu = gpu_probe.gpu()
    if gpu.problem:
        text = f"{cores}; the GPU cannot be used, so lite takes its steps: {gpu.problem}"
        return Finding("devices", False, text)
    return Finding("devices", True, f"{cores}, {gpu.name}")
