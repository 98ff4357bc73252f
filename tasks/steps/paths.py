"""Where a job's photo and its result are on this machine."""

import time
from functools import partial
from pathlib import Path

from storage import availability, photos, publishing
from storage.database import galleries, search
from storage.database.jobs import Jobs
from storage.database.records import Job
from storage.errors import GalleryOffline, OutputTaken, SettingsError
from storage.formats.safe_open import Limits
from storage.settings import settings
from storage.settings_gallery import GallerySettings
from storage.text import printable


def gallery(job: Job) -> GallerySettings:
    """Return the settings of the job's gallery.

    Raises:
        GalleryOffline: this machine does not have the gallery.

    """
    try:
        return settings().gallery(job.gallery)
    except SettingsError as error:
        raise GalleryOffline(str(error)) from error


def source(job: Job) -> Path:
    """Return the photo."""
    return gallery(job).path / job.source


def output(job: Job, relative: Path) -> Path:
    """Return the place of a result."""
    return gallery(job).output_root / relative


def limits() -> Limits:
    """Return the limits of file size, pixels and free disk space."""
    return Limits.of(settings())


def reserve(jobs: Jobs, job: Job) -> Path:
    """Reserve a name for the result, make its folder and return it, relative to the output root.

    Raises:
        GalleryOffline: the output root is not the one we know.
        OutputTaken: other photos have all names that it may have.

    """
    config = gallery(job)
    suffix = photos.output_suffix(config.path / job.source)
    for relative in publishing.candidates(job.source, config.template, suffix):
        folder = (config.output_root / relative).parent
        used = search.has_outputs(jobs.engine, job.gallery)
        publishing.prepare(job.gallery, config, folder, used=used)
        if jobs.reserve(job, relative):
            return relative
    raise OutputTaken(
        f"other photos have the names that the result of {printable(job.source)} might have"
    )


def may_be_arriving(job: Job) -> bool:
    """Return whether the photo is so new that it may still be being copied."""
    try:
        changed_at = source(job).stat().st_mtime
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
