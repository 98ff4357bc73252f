"""Write what the owner says of photos beside the results, so that it survives a lost database.

The database is the truth. What cannot be written now, such as into an output that is read-only or
away, is written by maintenance.
"""

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path

import sqlalchemy as sa

from daemon.console import session, targets
from daemon.console.exit_codes import Unknown
from storage import output_folder, owners_word
from storage.database import galleries
from storage.database import owners_word as said
from storage.database.records import Job
from storage.owners_word import Word
from storage.settings_gallery import BESIDE, GallerySettings
from storage.text import printable

log = logging.getLogger(__name__)


def note(jobs: Iterable[Job]) -> None:
    """Write what the owner said of the photos of jobs that have just been changed."""
    photos: dict[str, set[Path]] = defaultdict(set)
    for job in jobs:
        photos[job.gallery].add(job.source)
    for name, some in photos.items():
        try:
            write(session.engine(), name, targets.gallery(name), some)
        except (Unknown, OSError) as error:
            log.info("what was said of %s is written later: %s", printable(name), error)


def write(
    engine: sa.Engine, name: str, gallery: GallerySettings, photos: Collection[Path] | None = None
) -> None:
    """Write what the owner said of photos of a gallery, or of all, where the file lacks it.

    If all are looked at, lines that do not hold any more are removed.

    Raises:
        OSError: the file cannot be read or written.

    """
    if not _is_there(engine, name, gallery):
        return
    written = owners_word.read(gallery.output_root).by_photo
    looked_at = {*written, *said.photos(engine, name)} if photos is None else photos
    changed: dict[Path, Word | None] = {}
    for photo, versions in said.versions(engine, name, looked_at).items():
        word, before = said.of(versions[0]), written.get(photo)
        if word is not None and word != before:
            changed[photo] = word
        elif word is None and before is not None and said.is_taken_back(engine, versions):
            changed[photo] = None
    if changed:
        owners_word.append(gallery.output_root, changed)
    if photos is None:
        owners_word.compact(gallery.output_root)


def _is_there(engine: sa.Engine, name: str, gallery: GallerySettings) -> bool:
    """Return whether the folder of the results is there, and not an empty mount point."""
    if gallery.name in BESIDE:
        row = galleries.get(engine, name)
        return row is not None and row.online
    return output_folder.is_marked(gallery.output_root)
