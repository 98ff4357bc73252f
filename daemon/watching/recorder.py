"""Write what is found of one gallery to the database, and read what is known of it."""

import logging
import socket
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from daemon.watching.scanner import NewPhoto
from storage import availability, filesystems, publishing
from storage.database import galleries
from storage.database.records import Gallery
from storage.enums import BACKLOG
from storage.settings import settings
from storage.settings_gallery import GallerySettings
from storage.text import printable

log = logging.getLogger(__name__)


class Recorder:
    """The rows of one gallery in the database."""

    def __init__(self, name: str, gallery: GallerySettings, engine: sa.Engine) -> None:
        self.name = name
        self.settings = gallery
        self._engine = engine

    def row(self) -> Gallery | None:
        """Return the gallery's row; None before it was first online or offline."""
        return galleries.get(self._engine, self.name)

    def known(self, folder: Path) -> dict[str, tuple[str, ...]]:
        """Return the names and fingerprints of the known photos in a folder."""
        return galleries.known(self._engine, self.name, folder)

    def known_folders(self) -> set[str]:
        """Return the folders that hold known photos; the gallery itself is ""."""
        return {
            "" if folder == "." else folder for folder in galleries.folders(self._engine, self.name)
        }

    def why_offline(self) -> str | None:
        """Return why the gallery is offline and what to do; None if it is online."""
        row = self.row()
        return availability.why_offline(
            self.settings.path, self.settings.mount_point, row.identity if row else None,
            partial(galleries.sample, self._engine, self.name),
        )  # fmt: skip

    def note(self, **columns: Any) -> None:
        """Write columns of the gallery's row, which exists since it was first online."""
        galleries.note(self._engine, self.name, **columns)

    def note_online(self, root: str, watching: str) -> None:
        """Write that the gallery is online at `root`, and how it is watched."""
        kind = filesystems.mount_of(root).kind
        note_gallery(
            self._engine, self.name, filesystem=kind, identity=filesystems.identity(root),
            watching=watching, online=True, reason=None,
        )  # fmt: skip
        log.info("gallery %s is online (%s, %s)", self.name, kind, watching)

    def note_offline(self, reason: str) -> None:
        """Write and log that the gallery is offline, once for each reason."""
        row = self.row()
        if row is None or row.online or row.reason != reason:
            log.warning("gallery %s is offline: %s", self.name, reason)
            note_gallery(self._engine, self.name, online=False, reason=reason)

    def add(
        self, folder: Path, photos: Mapping[str, NewPhoto], backlog_before: float | None
    ) -> list[int]:
        """Record new photos and return the ids of the queued jobs.

        Photos that last changed before `backlog_before`, in Unix time, are the backlog. Of these,
        only the photos that the settings ask for, and those that have a result, are queued.
        """
        backlog = {
            name
            for name, photo in photos.items()
            if backlog_before is not None and photo.changed_at < backlog_before
        }
        left_alone = {name for name in backlog if photos[name].modified_at < self.settings.since}
        left_alone -= self._with_result(folder, backlog)
        added = galleries.add(
            self._engine, self.name, folder, _fingerprints(photos, photos.keys() - backlog)
        ) + galleries.add(
            self._engine,
            self.name,
            folder,
            _fingerprints(photos, backlog - left_alone),
            rank=BACKLOG,
        )
        galleries.note_backlog(self._engine, self.name, folder, _fingerprints(photos, left_alone))
        if added:
            log.info("gallery %s: %d new in %s", self.name, len(added), printable(folder))
        return added

    def gone(self, folder: Path, names: Collection[str] | None = None) -> None:
        """Record that these photos of a folder, or all of them, have vanished."""
        galleries.note_gone(self._engine, self.name, folder, names)

    def _with_result(self, folder: Path, names: set[str]) -> set[str]:
        """Return the photos whose results exist, since a lost database had recorded them."""
        try:
            results = (
                {p.name for p in (self.settings.output_root / folder).iterdir()} if names else ()
            )
        except OSError:
            return set()
        template = self.settings.template
        return {
            name
            for name in names
            if results
            and any(
                result.name in results
                for suffix in {Path(name).suffix, ".jpg"}
                for result in publishing.candidates(Path(name), template, suffix)
            )
        }


def note_gallery(engine: sa.Engine, name: str, **columns: Any) -> None:
    """Write columns of a gallery's row, and what the settings say of it; add a missing row."""
    gallery = settings().gallery(name)
    if galleries.get(engine, name) is None:
        columns = {"filesystem": "unknown", "watching": "not yet"} | columns
    galleries.note(
        engine,
        name,
        host=socket.gethostname(),
        root=gallery.path,
        output=gallery.output_root,
        **columns,
    )


def _fingerprints(photos: Mapping[str, NewPhoto], names: Iterable[str]) -> dict[str, str]:
    return {name: photos[name].fingerprint for name in names}
