"""Write what is found of one gallery to the database, and read what is known of it."""

import json
import logging
import os
import socket
from collections.abc import Collection, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from daemon.watching import arrivals, placeholders
from daemon.watching.ignore_rules import FolderRules
from daemon.watching.scanner import NewPhoto
from storage import (
    availability,
    beneath,
    filesystems,
    fingerprints,
    gallery_layout,
    owners_word,
    publishing,
    rules,
)
from storage.database import asked_folders, backlog, came_back, galleries, takeover
from storage.database.records import Gallery, Job
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
        reason = availability.why_offline(
            self.settings.path, self.settings.mount_point, row.identity if row else None,
            partial(galleries.sample, self._engine, self.name),
        )  # fmt: skip
        return reason or gallery_layout.entangled_gallery(
            self.name, filesystems.location(self.settings.path),
            takeover.others(self._engine, self.name, socket.gethostname()),
            active=settings().galleries, is_new=row is None or row.identity is None,
        )  # fmt: skip

    def note(self, **columns: Any) -> None:
        """Write columns of the gallery's row, which exists since it was first online."""
        galleries.note(self._engine, self.name, **columns)

    def note_online(self, root: str, watching: str) -> None:
        """Write that the gallery is online at `root`, and how it is watched."""
        kind = filesystems.mount_of(root).kind
        note_gallery(
            self._engine, self.name, filesystem=kind, watching=watching, online=True, reason=None,
            **availability.recognisable(root),
        )  # fmt: skip
        log.info("gallery %s is online (%s, %s)", self.name, kind, watching)

    def is_first_scan(self, root: str) -> bool:
        """Return whether the folder at `root` was never scanned to the end.

        So it is if the last full scan was of another one, and most of what is known is not here:
        the share was mounted after the first day, or its owner accepted another disk.
        """
        row = self.row()
        if row is None or row.scanned_at is None:
            return True
        scanned = (row.rules or {}).get("identity")
        if scanned in (None, filesystems.identity(root)):
            return False
        known = galleries.sample(self._engine, self.name, availability.SAMPLE)
        found = sum(os.path.lexists(f"{root}/{photo}") for photo in known)
        return 2 * found < len(known) or not known

    def apply_settings(self, before: Mapping[str, Any] | None) -> None:
        """Queue or leave alone what the settings now ask for; log in one line what changed.

        `before` are the settings that were applied last, None if there are none.
        """
        changes = self.settings.changes(before)
        ruled = [asdict(rule) for rule in settings().rules]
        if before and before.get("rules", []) != json.loads(json.dumps(ruled)):
            queued = self._queue_ruled()
            changes.append(f"the rules are others, and {queued} photos that they left are queued")
        if before and before["backlog"] != self.settings.backlog:
            queued = backlog.widen(self._engine, self.name, self.settings.since)
            left = backlog.narrow(self._engine, self.name, self.settings.since)
            changes.append(f"{queued} photos of the backlog are queued, {left} left alone")
        if before and changes:
            log.warning("gallery %s has other settings: %s", self.name, "; ".join(changes))
        if changes:
            self.note(settings=self.settings.to_json() | {"rules": ruled})

    def _queue_ruled(self) -> int:
        """Queue the photos that a rule left alone and that no rule does now; return their number."""
        left = backlog.ruled(self._engine, self.name)
        allowed = [job.id for job in left if not self._is_left(job)]
        backlog.queue_ruled(self._engine, allowed)
        return len(allowed)

    def _is_left(self, job: Job) -> bool:
        """Return whether a rule leaves a photo alone now."""
        found = rules.ruling(settings().rules, self.name, self.settings, job.source)
        why_not = found.why_not(job.category) if job.category else None
        return bool(found.why_off or why_not)

    def stay_online(self) -> None:
        """Write that the gallery is online, if another watcher without it wrote that it is not."""
        row = self.row()
        if row is not None and not row.online:
            self.note(online=True, reason=None)

    def note_offline(self, reason: str) -> None:
        """Write that the gallery is offline, and log it once for each reason."""
        row = self.row()
        if row is None or row.online or row.reason != reason:
            log.warning("gallery %s is offline: %s", self.name, reason)
        note_gallery(self._engine, self.name, online=False, reason=reason)

    def add(self, folder: Path, photos: Mapping[str, NewPhoto]) -> list[int]:
        """Record the photos of a folder that are not known like this; return the queued jobs' ids."""
        versions = galleries.versions(self._engine, self.name, folder, photos)
        present = {name for name, known in versions.items() if known[0].gone_at is None}
        elsewhere = {name: photos[name].fingerprint for name in photos.keys() - present}
        vanished = galleries.vanished(self._engine, elsewhere)
        found = arrivals.sort(photos, versions, vanished)
        galleries.adopt(self._engine, self.name, folder, found.known)
        if came := [name for job, name, _ in found.known if name not in present]:
            self.show(folder, came)  # the rules and the backlog of their former place are not these
        wanted = self._wanted(folder, found.backlog)
        left = {name: f for name, f in found.backlog.items() if name not in wanted}
        added = came_back.queue(self._engine, [job.id for job, _, _ in found.known])
        added += galleries.add(self._engine, self.name, folder, found.new)
        added += galleries.add(self._engine, self.name, folder, wanted, rank=BACKLOG)
        galleries.note_backlog(self._engine, self.name, folder, left)
        if added:
            log.info("gallery %s: %d new in %s", self.name, len(added), printable(folder))
        return added

    def leave(self, folder: Path, ignored: Mapping[str, str]) -> None:
        """Leave queued photos of a folder alone that are ignored now, name and rule."""
        self._log_left(folder, backlog.leave(self._engine, self.name, folder, ignored))

    def leave_folder(self, folder: Path, rule: str) -> None:
        """Leave all queued photos of a folder alone that is ignored now."""
        self._log_left(folder, backlog.leave_folder(self._engine, self.name, folder, rule))

    def show_again(self, rules: FolderRules) -> None:
        """Treat photos that were ignored, and are not by these rules, as backlog."""
        for folder, names in backlog.ignored(self._engine, self.name).items():
            place = "" if folder == Path() else str(folder)
            if shown := [name for name in names if rules.why_ignored(place, name) is None]:
                self.show(folder, shown)

    def show(self, folder: Path, names: Collection[str]) -> None:
        """Treat photos that the rules of this gallery do not ignore as its backlog."""
        backlog.show(self._engine, self.name, folder, names)
        backlog.widen(self._engine, self.name, self.settings.since, folder)

    def queue_filled(self, root: str, folders: Collection[str] | None = None) -> list[int]:
        """Queue photos that had no content before, of these folders or of all; return their ids."""
        return placeholders.queue_filled(self._engine, self.name, Path(root), folders)

    def asked_folders(self) -> list[str]:
        """Return the folders that another program asks to be scanned, "" for the gallery itself."""
        return ["" if f == Path() else str(f) for f in asked_folders.take(self._engine, self.name)]

    def gone(self, folder: Path, names: Collection[str] | None = None) -> None:
        """Record that these photos of a folder, or all of them, have vanished."""
        galleries.note_gone(self._engine, self.name, folder, names)

    def _log_left(self, folder: Path, count: int) -> None:
        if count:
            place = printable(folder)
            log.info("gallery %s: %d in %s are ignored now", self.name, count, place)

    def _wanted(self, folder: Path, old: Mapping[str, str]) -> dict[str, str]:
        """Return the old photos that are queued: the settings ask for them, or they have a result.

        So it is with those of which the owner said something before a database was lost.
        """
        match self.settings.backlog:
            case "all":
                return dict(old)
            case "new":
                wanted: set[str] = set()
            case _:
                since = self.settings.since
                wanted = {n for n, f in old.items() if fingerprints.modified_at(f) >= since}
        wanted |= self._with_result(folder, old.keys() - wanted)
        wanted |= self._with_word(folder, old.keys() - wanted)
        return {name: old[name] for name in wanted}

    def _with_result(self, folder: Path, names: set[str]) -> set[str]:
        """Return the photos whose results exist, since a lost database had recorded them."""
        try:
            with beneath.folder(self.settings.output_root, folder) as number:
                results = set(os.listdir(number)) if names else set()  # noqa: PTH208
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

    def _with_word(self, folder: Path, names: set[str]) -> set[str]:
        """Return the photos of which the owner said something."""
        try:
            words = owners_word.read(self.settings.output_root).by_photo if names else {}
        except OSError:
            return set()
        return {name for name in names if folder / name in words}


def note_gallery(engine: sa.Engine, name: str, **columns: Any) -> None:
    """Write columns of a gallery's row, and what the settings say of it; add a missing row."""
    gallery = settings().gallery(name)
    row = galleries.get(engine, name)
    if row is None:
        columns = {"filesystem": "unknown", "watching": "not yet"} | columns
    elif row.root != gallery.path and galleries.is_here(engine, row):
        # What another folder holds is as old as on the first day.
        columns = {"scanned_at": None} | columns
    galleries.note(
        engine,
        name,
        host=socket.gethostname(),
        root=gallery.path,
        output=gallery.output_root,
        **columns,
    )
