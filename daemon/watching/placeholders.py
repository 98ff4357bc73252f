"""Photos that came without their content: a sync client fills such a file later.

It may keep size and mtime, so that the fingerprint stays the same; only the ctime changes.
"""

import logging
from collections.abc import Collection
from pathlib import Path

import sqlalchemy as sa

from storage.beneath import Beneath
from storage.database import galleries, search
from storage.database.search import Filter
from storage.enums import ErrorKind, Status

log = logging.getLogger(__name__)


def queue_filled(
    engine: sa.Engine, gallery: str, root: Path, folders: Collection[str] | None = None
) -> list[int]:
    """Queue photos of these folders, or of all, again that were not readable and changed since.

    Return the ids of their jobs.
    """
    wanted = Filter(status=[Status.FAILED], kind=ErrorKind.UNREADABLE, gallery=gallery)
    filled = [
        job.id
        for job in search.jobs(engine, wanted)
        if job.gone_at is None
        and (folders is None or str(job.folder) in folders)
        and _changed_at(Beneath(root, job.source)) > (job.claimed_at or 0.0)
    ]
    if filled:
        galleries.queue_filled(engine, filled)
        log.info("gallery %s: %d photos have their content now", gallery, len(filled))
    return filled


def _changed_at(photo: Beneath) -> float:
    """Return the ctime of a file, 0 if it cannot be read."""
    try:
        return photo.status().st_ctime
    except OSError:
        return 0.0
