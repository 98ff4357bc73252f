"""Where a job's photo and its result are on this machine."""

import errno
import logging
import socket
import time
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from storage import (
    availability,
    filesystems,
    gallery_layout,
    output_folder,
    photos,
    publishing,
    rules,
)
from storage.atomic_files import Draft
from storage.beneath import Beneath
from storage.database import galleries, holds, output_names, search, takeover
from storage.database.jobs import Jobs
from storage.database.records import Job
from storage.enums import Strength
from storage.errors import GalleryOffline, OutputTaken, SettingsError
from storage.formats.safe_open import Limits
from storage.rules import Ruling
from storage.settings import settings
from storage.settings_gallery import BESIDE, GallerySettings
from storage.text import printable
from storage.wishes import Wish
from tasks.worker import runtime

log = logging.getLogger(__name__)

GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
"""Errors of a file that is gone, or that a link has replaced, or the folder that it was in."""


def gallery(job: Job) -> GallerySettings:
    """Return the settings of the job's gallery.

    Raises:
        GalleryOffline: this machine does not have the gallery.

    """
    try:
        return settings().gallery(job.gallery)
    except SettingsError as error:
        raise GalleryOffline(str(error)) from error


def ruling(job: Job) -> Ruling:
    """Return what the settings say of the photo now.

    Raises:
        GalleryOffline: this machine does not have the gallery.

    """
    return rules.ruling(settings().rules, job.gallery, gallery(job), job.source)


def strength(job: Job) -> Strength:
    """Return how much of the change of the photo its result has: the owner's wish, or the settings."""
    wish = Wish.of(job)
    return (wish.strength if wish else None) or ruling(job).strength


def source(job: Job) -> Beneath:
    """Return the photo, in the version of the job."""
    return Beneath(gallery(job).path, job.source, job.fingerprint)


def output(job: Job, relative: Path) -> Beneath:
    """Return the place of a result."""
    return Beneath(gallery(job).output_root, relative)


def limits() -> Limits:
    """Return the limits of file size, pixels and free disk space."""
    return Limits.of(settings())


def reserve(jobs: Jobs, job: Job) -> Path:
    """Reserve a name for the result, make its folder and return it, relative to the output root.

    Check before that a result as large as the photo can be written there.

    Raises:
        GalleryOffline: the output root is not the one we know, or lies in a gallery.
        OutputFull, OutputReadOnly: no result can be written.
        OutputTaken: other files have all names that it may have.
        NameRefused: the file system of the output cannot hold its name.

    """
    config, photo = gallery(job), source(job)
    used = search.has_outputs(jobs.engine, job.gallery)
    _require_outside(jobs, job)
    output_folder.prepare(job.gallery, config, used=used)
    needed_bytes = photo.status().st_size
    output_folder.require_room(config.output_root, needed_bytes, limits().min_free_bytes)
    suffix = photos.output_suffix(job.source)
    for relative in publishing.candidates(job.source, config.template, suffix):
        if output_names.reserve(jobs.engine, job, relative):
            output_folder.make_place(config, output(job, relative))
            return relative
    raise OutputTaken(
        f"other photos have the names that the result of {printable(job.source)} might have"
    )


def _require_outside(jobs: Jobs, job: Job) -> None:
    """Check that the folder of the result lies in no gallery, by what the folders are.

    A folder in the output may be a symbolic link, too.

    Raises:
        GalleryOffline: it does.

    """
    config = gallery(job)
    watched = [
        row
        for row in takeover.others(jobs.engine, "", socket.gethostname())
        if row.name in settings().galleries
        and not (row.name == job.gallery and config.name in BESIDE)
    ]
    where = filesystems.location(config.output_root / job.folder)
    if reason := gallery_layout.entangled_output(where, watched):
        raise GalleryOffline(reason)


def writing(job: Job, relative: Path) -> AbstractContextManager[None]:
    """Turn what stops the writing of a result into errors with a sentence."""
    return output_folder.writing(output(job, relative))


def publish(job: Job, draft: Draft, relative: Path, replaced: str | None) -> None:
    """Give the draft of a result its name, and end the hold of its gallery, if it had one.

    Raises what `publishing.publish` raises; if the name is taken, the row has no result.
    """
    try:
        with writing(job, relative):
            publishing.publish(draft, replaced)
    except OutputTaken:
        runtime.jobs().take_back(job)
        raise
    end_hold(job)


def end_hold(job: Job) -> None:
    """End the hold of the job's gallery, if it had one: a result could be written."""
    if holds.release_gallery(runtime.jobs().engine, job.gallery):
        log.warning("gallery %s: its results can be written again", job.gallery)


def may_be_arriving(job: Job) -> bool:
    """Return whether the photo is so new that it may still be being copied."""
    try:
        changed_at = source(job).status().st_mtime
    except OSError:
        return False
    return abs(time.time() - changed_at) < settings().arriving_seconds


def source_gone(jobs: Jobs, job: Job) -> bool:
    """Return whether the photo is gone from a gallery that is online."""
    try:
        config = gallery(job)
    except GalleryOffline:
        return False
    row = galleries.get(jobs.engine, job.gallery)
    sample = partial(galleries.sample, jobs.engine, job.gallery)
    return availability.is_gone(job.source, config, row.identity if row else None, sample)
