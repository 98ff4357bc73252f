"""Compare the folders of one gallery with what the database knows of them.

A scan of one folder is the only mechanism. An event only names a folder to scan, because inotify
does not report what other machines write to a share and loses most of a burst. A full scan scans
all folders and finds what no event reported. No scan reads a photo's contents.
"""

import errno
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from daemon.watching.ignore_rules import FolderRules, Rules
from storage import beneath, fingerprints
from storage.formats.detect import is_photo_name
from storage.text import printable

log = logging.getLogger(__name__)

UNNOTICED_SECONDS = 10.0
"""A photo that a full scan finds this many seconds after it changed was missed by the events."""
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
"""Errors that a folder makes which is not there, or is a file or a link now."""
MAX_WARNINGS = 100
"""Maximum number of entries that are logged as unreadable."""

MAX_IGNORE_LETTERS = 4_000_000
"""Maximum length of the texts of all ignore files that a full scan records."""

Known = Callable[[Path], dict[str, tuple[str, ...]]]
"""Returns the names and fingerprints that the database knows in a folder."""


class NewPhoto(NamedTuple):
    """A photo that the database does not know, as the last scan found it."""

    fingerprint: str
    unchanged_since: float
    """By the monotonic clock."""
    old: bool
    """It did not arrive: the first scan found it, or a change of the ignore rules shows it."""


@dataclass(frozen=True)
class ScannedFolder:
    """What the scan of a folder, relative to the gallery, found."""

    folder: str
    settled: dict[str, NewPhoto]
    vanished: frozenset[str]
    """Photos that are known and no longer there."""
    missing: bool = False
    """The folder itself is no longer there, or is now a symbolic link."""
    ignored: Mapping[str, str] = field(default_factory=dict)
    """Known photos that a change of the rules ignores, each with the rule."""


@dataclass
class FullScan:
    """The progress of a scan of all folders."""

    to_visit: list[str] = field(default_factory=lambda: [""])
    visited: set[str] = field(default_factory=set)
    photos: int = 0
    unnoticed: int = 0
    """Photos that an event should have reported before."""
    expected: bool = False
    """The scan may find photos that raised no event."""
    first: bool = False
    """The gallery was never scanned before: all that this scan finds is old."""
    ignore_files: dict[str, str] = field(default_factory=dict)
    """The texts of ignore files, by folder, when their folders were visited."""
    _ignore_letters: int = 0
    _found: set[str] = field(default_factory=lambda: {""})
    began: float = field(default_factory=time.monotonic)

    def visit(self, folder: str) -> None:
        """Visit `folder` later."""
        self.to_visit.append(folder)
        if self.first:
            self._found.add(folder)

    def note_ignore_file(self, folder: str, text: str) -> None:
        """Note the text of an ignore file, unless there are too many for a row of the database."""
        self._ignore_letters += len(text)
        if self._ignore_letters <= MAX_IGNORE_LETTERS:
            self.ignore_files[folder] = text

    def finds(self, folder: str) -> bool:
        """Return whether `folder` is new to this scan; False if it was visited, or made meanwhile."""
        while folder not in self._found:
            folder = folder.rpartition("/")[0]
        return folder not in self.visited


class Scanner:
    """The folders of one gallery that are due for a scan, and its photos that have not settled.

    All paths but `root` are relative to it, with surrogate escapes for bytes that are not UTF-8.
    """

    def __init__(
        self, root: str, rules: Rules, known: Known, settle_seconds: float,
        progress: Callable[[], object] = lambda: None,
    ) -> None:  # fmt: skip
        """Call `progress` with each entry: a long folder is not a share that hangs."""
        self.root = root
        self._progress = progress
        self.full_scan: FullScan | None = None
        self.rules = FolderRules(root, rules)
        self.rules_before: FolderRules | None = None
        """The rules of the last full scan that ended; None if they are not known."""
        self._known = known
        self._settle_seconds = settle_seconds
        self._marked: dict[str, bool] = {}
        self._due: dict[str, float] = {}
        self._unsettled: dict[str, dict[str, NewPhoto]] = {}
        self._warned: set[str] = set()

    def mark(self, folder: str, *, recursive: bool = False) -> None:
        """Scan `folder` with the next scan, and all folders below it if `recursive`."""
        self._marked[folder] = recursive or self._marked.get(folder, False)

    def unsettled(self) -> Iterator[NewPhoto]:
        """Yield all new photos that have not settled."""
        return (photo for photos in self._unsettled.values() for photo in photos.values())

    def next_scan(self) -> float:
        """Return when a folder is next due for a scan, by the monotonic clock."""
        if self._marked or self.full_scan:
            return 0.0
        return min(self._due.values(), default=float("inf"))

    def scan(self, now: float, full_scan_seconds: float = float("inf")) -> Iterator[ScannedFolder]:
        """Scan the marked and the due folders, then go on with the full scan for some seconds.

        A full scan has ended when it has nothing left to visit. The caller, who set it, removes it.
        """
        self.rules.forget()
        if self.rules_before:
            self.rules_before.forget()
        if self.full_scan is None or self.full_scan.first:
            # Otherwise they wait: a photo that was moved is known once it is missing elsewhere.
            for folder in [folder for folder, at in self._due.items() if at <= now]:
                self.mark(folder)
        while self._marked:
            folder, recursive = self._marked.popitem()
            if found := self._scan(folder, now, self._mark_recursive if recursive else None):
                yield found
        end = time.monotonic() + full_scan_seconds
        while self.full_scan and self.full_scan.to_visit and time.monotonic() < end:
            full_scan = self.full_scan
            folder = full_scan.to_visit.pop()
            found = self._scan(folder, now, full_scan.visit, full_scan)
            full_scan.visited.add(folder)
            if found:
                yield found

    def _mark_recursive(self, folder: str) -> None:
        self.mark(folder, recursive=True)

    def _scan(
        self, folder: str, now: float, visit: Callable[[str], None] | None,
        full_scan: FullScan | None = None,
    ) -> ScannedFolder | None:  # fmt: skip
        """Scan one folder and call `visit` with each folder in it; return None if nothing changed."""
        self._due.pop(folder, None)
        before = self._unsettled.pop(folder, {})
        rules = self.rules.of(folder)
        if isinstance(rules, str):
            return self._scan_ignored(folder)
        try:
            below, photos, ignored = self._entries(folder, rules)
        except OSError as error:
            if error.errno in _GONE:
                return ScannedFolder(folder, {}, frozenset(), missing=True)
            self._warn(folder, error)
            return None
        if visit:
            for name in below:
                visit(f"{folder}/{name}" if folder else name)
        if full_scan and (text := rules.file_of(folder)):
            full_scan.note_ignore_file(folder, text)
        known = self._known(Path(folder))
        was_hidden = self._hidden_before(folder, rules)
        settled = self._settle(folder, photos, known, before, now, full_scan, was_hidden)
        vanished = known.keys() - photos.keys()
        if vanished:
            vanished -= ignored.keys()
        hidden: dict[str, str] = {}
        if self.rules_before is None or was_hidden is not _nothing:
            names = {name for name in ignored.keys() & known.keys() if ignored[name]}
            hidden = {name: ignored[name] for name in names if not was_hidden(name)}
        if settled or vanished or hidden:
            return ScannedFolder(folder, settled, frozenset(vanished), ignored=hidden)
        return None

    def _scan_ignored(self, folder: str) -> ScannedFolder | None:
        """Scan a folder that is ignored: only what is known in it and has vanished is of interest."""
        known = self._known(Path(folder))
        try:
            with beneath.folder(Path(self.root), folder) as number, os.scandir(number) as entries:
                vanished = known.keys() - {entry.name for entry in entries} if known else None
        except OSError as error:
            is_gone = error.errno in _GONE
            return ScannedFolder(folder, {}, frozenset(), missing=True) if is_gone else None
        return ScannedFolder(folder, {}, frozenset(vanished)) if vanished else None

    def _hidden_before(self, folder: str, rules: Rules) -> Callable[[str], object]:
        """Return a function of names in `folder`: whether the last full scan ignored such a file."""
        before = self.rules_before
        if before is None or rules.ignore_the_same(before.of(folder)):
            return _nothing
        return partial(before.why_ignored, folder)

    def _settle(
        self, folder: str, photos: dict[str, os.stat_result], known: dict[str, tuple[str, ...]],
        before: dict[str, NewPhoto], now: float, full_scan: FullScan | None,
        was_hidden: Callable[[str], object],
    ) -> dict[str, NewPhoto]:  # fmt: skip
        """Return the new photos that have settled; make the folder due again for the others."""
        settled: dict[str, NewPhoto] = {}
        unsettled: dict[str, NewPhoto] = {}
        scan = self.full_scan
        is_found_first = scan is not None and scan.first and scan.finds(folder)
        for name, found in photos.items():
            fingerprint = fingerprints.of(found)
            if name in known and fingerprint in known[name]:
                continue
            last = before.get(name)
            if full_scan and last is None and time.time() - found.st_ctime > UNNOTICED_SECONDS:
                full_scan.unnoticed += 1
            same = last is not None and last.fingerprint == fingerprint
            since = last.unchanged_since if last and same else now
            old = last.old if last else is_found_first or bool(was_hidden(name))
            photo = NewPhoto(fingerprint, since, old)
            (settled if since <= now - self._settle_seconds else unsettled)[name] = photo
        if full_scan:
            full_scan.photos += len(photos)
        if unsettled:
            self._unsettled[folder] = unsettled
            first = min(photo.unchanged_since for photo in unsettled.values())
            self._due[folder] = first + self._settle_seconds
        return settled

    def _entries(
        self, folder: str, rules: Rules
    ) -> tuple[list[str], dict[str, os.stat_result], dict[str, str]]:
        """Return the folders, the photos and the ignored photos in `folder`.

        The latter are given with the rule, which is empty for a photo that cannot be examined.
        Symbolic links are neither.
        """
        below: list[str] = []
        photos: dict[str, os.stat_result] = {}
        ignored: dict[str, str] = {}
        # By a descriptor each stat is a tenth faster, and no link is followed.
        with beneath.folder(Path(self.root), folder) as number, os.scandir(number) as entries:
            for entry in entries:
                self._progress()
                name = entry.name
                try:
                    if entry.is_file(follow_symlinks=False):
                        if not is_photo_name(name):
                            continue
                        if why := rules.why_ignored(folder, name, is_folder=False):
                            ignored[name] = why
                        else:
                            photos[name] = entry.stat(follow_symlinks=False)
                    elif entry.is_dir(follow_symlinks=False) and not rules.why_ignored(
                        folder, name, is_folder=True
                    ):
                        below.append(name)
                except FileNotFoundError:
                    continue  # it has gone since the folder was listed
                except OSError as error:
                    ignored[name] = ""
                    self._warn(f"{folder}/{name}", error)
        return below, photos, ignored

    def _warn(self, path: str, error: OSError) -> None:
        """Log once that an entry cannot be scanned, for at most MAX_WARNINGS entries."""
        warning = f"{error.errno} {path}"
        if warning not in self._warned and len(self._warned) < MAX_WARNINGS:
            self._warned.add(warning)
            log.warning("%s cannot be scanned: %s", printable(path), error.strerror)


def _nothing(_name: str) -> bool:
    """Return False: nothing was ignored that is not ignored now."""
    return False
