"""Move the results of photos that were deleted to the trash, and back if the photos come back."""

import logging
import os
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from daemon import rejections
from daemon.console.exit_codes import Unknown
from daemon.rejections import Unchanged
from storage import availability
from storage.database import deleted, galleries
from storage.database.records import Job
from storage.enums import WhenDeleted
from storage.errors import PathRefused
from storage.ignored_names import is_ignored
from storage.settings import settings
from storage.settings_gallery import GallerySettings
from storage.text import printable

log = logging.getLogger(__name__)


def work(engine: sa.Engine) -> None:
    """Move what is due, in the galleries of this machine that want it."""
    for job in deleted.returned(engine):
        if job.gallery in settings().galleries:
            _bring_back(engine, job)
    for name, gallery in settings().galleries.items():
        if gallery.when_deleted is WhenDeleted.TRASH and settings().trash_days > 0:
            _trash(engine, name, gallery)


def _trash(engine: sa.Engine, name: str, gallery: GallerySettings) -> None:
    row = galleries.get(engine, name)
    if row is None or not row.online or not galleries.is_here(engine, row):
        return
    sample = partial(galleries.sample, engine, name)
    for job in deleted.due(engine, row):
        try:
            if not is_deleted(job.source, gallery, row.identity, sample):
                continue
            if rejections.delete(engine, job):
                log.info("job %d: its photo was deleted; its result is in the trash", job.id)
        except (Unknown, Unchanged) as error:  # its disk or share is away, or its owner changed it
            log.debug("job %d: %s", job.id, error)
        except (PathRefused, OSError) as error:
            log.warning("job %d: its result stays: %s", job.id, printable(error))


def is_deleted(
    photo: Path, gallery: GallerySettings, known_as: str | None, sample: availability.Sample
) -> bool:
    """Return whether a photo, relative to its gallery, was deleted, and no disk or share is away.

    The nearest folder that is still there must hold something: a share may be mounted on an empty one.
    """
    if not availability.is_gone(photo, gallery, known_as, sample):
        return False
    for folder in photo.parents:
        place = gallery.path / folder
        try:
            if folder != Path() and place.is_symlink():  # what lies behind is not looked for
                return False
            with os.scandir(place) as entries:
                return not all(is_ignored(entry.name) for entry in entries)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            return False
    return False


def _bring_back(engine: sa.Engine, job: Job) -> None:
    try:
        if rejections.restore(engine, job):
            log.info("job %d: its photo came back, and so does its result", job.id)
    except Unknown as error:
        log.debug("job %d: %s", job.id, error)
    except Unchanged as error:
        if deleted.mend_again(engine, job):
            log.info("job %d: its photo came back, and is mended again: %s", job.id, error)
    except (PathRefused, OSError) as error:
        log.warning("job %d: its result stays in the trash: %s", job.id, printable(error))
