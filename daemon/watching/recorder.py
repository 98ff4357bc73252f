"""Write what is found of one gallery to the database, and read what is known of it."""

import logging
import socket
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from daemon.watching.scanner import NewPhoto
from storage import availability, filesystems, publishing
from storage.database.jobs import Jobs
from storage.database.tables import Gallery
from storage.enums import BACKLOG
from storage.settings import GallerySettings, settings
from storage.text import printable

log = logging.getLogger(__name__)


class Recorder:
    """The rows of one gallery in the database."""

    def __init__(self, name: str, gallery: GallerySettings, jobs: Jobs) -> None:
        self.name = name
        self.settings = gallery
        self._jobs = jobs

    def row(self) -> Gallery | None:
        """Return the gallery's row; None before it was first online or offline."""
        return self._jobs.gallery(self.name)

    def known(self, folder: Path) -> dict[str, tuple[str, ...]]:
        """Return the names and fingerprints of the known photos in a folder."""
        return self._jobs.known(self.name, folder)

    def known_folders(self) -> set[str]:
        """Return the folders that hold known photos; the gallery itself is ""."""
        return {"" if folder == "." else folder for folder in self._jobs.folders(self.name)}

    def why_offline(self) -> str | None:
        """Return why the gallery is offline and what to do; None if it is online."""
        row = self.row()
        return availability.why_offline(
            self.settings.path, self.settings.mount_point, row.identity if row else None,
            partial(self._jobs.sample, self.name),
        )  # fmt: skip

    def note(self, **columns: Any) -> None:
        """Write columns of the gallery's row, which exists since it was first online."""
        self._jobs.note_gallery(self.name, **columns)

    def note_online(self, root: str, watching: str) -> None:
        """Write that the gallery is online at `root`, and how it is watched."""
        kind = filesystems.mount_of(root).kind
        note_gallery(
            self._jobs, self.name, filesystem=kind, identity=filesystems.identity(root),
            watching=watching, online=True, reason=None,
        )  # fmt: skip
        log.info("gallery %s is online (%s, %s)", self.name, kind, watching)

    def note_offline(self, reason: str) -> None:
        """Write and log that the gallery is offline, once for each reason."""
        row = self.row()
        if row is None or row.online or row.reason != reason:
            log.warning("gallery %s is offline: %s", self.name, reason)
            note_gallery(self._jobs, self.name, online=False, reason=reason)

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
        added = self._jobs.add(
            self.name, folder, _fingerprints(photos, photos.keys() - backlog)
        ) + self._jobs.add(
            self.name, folder, _fingerprints(photos, backlog - left_alone), rank=BACKLOG
        )
        self._jobs.note_backlog(self.name, folder, _fingerprints(photos, left_alone))
        if added:
            log.info("gallery %s: %d new in %s", self.name, len(added), printable(folder))
        return added

    def gone(self, folder: Path, names: Collection[str] | None = None) -> None:
        """Record that these photos of a folder, or all of them, have vanished."""
        self._jobs.gone(self.name, folder, names)

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


def note_gallery(jobs: Jobs, name: str, **columns: Any) -> None:
    """Write columns of a gallery's row, and what the settings say of it; add a missing row."""
    gallery = settings().gallery(name)
    if jobs.gallery(name) is None:
        columns = {"filesystem": "unknown", "watching": "not yet"} | columns
    jobs.note_gallery(
        name, host=socket.gethostname(), root=gallery.path, output=gallery.output_root, **columns
    )


def _fingerprints(photos: Mapping[str, NewPhoto], names: Iterable[str]) -> dict[str, str]:
    return {name: photos[name].fingerprint for name in names}
