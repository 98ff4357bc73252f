"""Looks at the folders of one gallery, compared with what the database knows of each.

There is one mechanism: a look at a folder. An event only says "look at this folder again", because
inotify tells nothing of what other machines write to a share and loses most of a burst; a walk
looks at all folders and finds what no event told. No look reads a photo's contents.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from daemon.watching import ignore_rules
from daemon.watching.ignore_rules import Rules
from storage.formats.detect import FORMATS, OTHERS, RAW
from storage.publishing import MARKER

log = logging.getLogger(__name__)

SUFFIXES = frozenset({*FORMATS, *RAW, *OTHERS})
OLD_NEWS_SECONDS = 10.0
"""A walk that finds a photo which came longer ago than this would have been told by an event."""
WARNINGS = 100

Known = Callable[[Path], dict[str, tuple[str, ...]]]
"""Names and fingerprints of all that is known in a folder."""


class Sight(NamedTuple):
    """A new photo as it was last seen."""

    fingerprint: str
    since: float
    """It has stood still since this second of the monotonic clock."""
    modified_at: float
    came_at: float
    """When the file was last changed, moved or made, by the clock of its filesystem."""


@dataclass(frozen=True)
class Look:
    """What a look at a folder, relative to the gallery, found."""

    folder: str
    settled: dict[str, Sight]
    """New photos that have stood still for long enough."""
    vanished: frozenset[str]
    """Photos that are known and no longer there."""
    missing: bool = False
    """The folder itself is no longer there."""


@dataclass
class Walk:
    """A look at all folders, as far as it has come."""

    to_visit: list[str] = field(default_factory=lambda: [""])
    visited: set[str] = field(default_factory=set)
    photos: int = 0
    untold: int = 0
    """Photos that should have been told by an event."""
    began: float = field(default_factory=time.monotonic)


class Gallery:
    """One watched folder tree: which folders to look at, and which photos have not settled.

    All paths but `root` are relative to it, with surrogate escapes for what is not UTF-8.
    """

    def __init__(self, root: str, rules: Rules, known: Known, settle_seconds: float) -> None:
        self.root = root
        self.walk: Walk | None = None
        self._owner = rules
        self._known = known
        self._settle_seconds = settle_seconds
        self._dirty: dict[str, bool] = {}
        self._due: dict[str, float] = {}
        self._moving: dict[str, dict[str, Sight]] = {}
        self._rules: dict[str, Rules | None] = {}
        self._warned: set[str] = set()

    def mark(self, folder: str, *, deep: bool = False) -> None:
        """Look at `folder` soon, with all below it if `deep`."""
        self._dirty[folder] = deep or self._dirty.get(folder, False)

    def unsettled(self) -> Iterator[Sight]:
        """Yield all new photos that have not stood still for long enough."""
        return (sight for sights in self._moving.values() for sight in sights.values())

    def next_look(self) -> float:
        """Return the second of the monotonic clock at which there is something to look at."""
        if self._dirty or self.walk:
            return 0.0
        return min(self._due.values(), default=float("inf"))

    def look(self, now: float, walk_for: float = float("inf")) -> Iterator[Look]:
        """Look at what was marked or may have settled, then walk on for so many seconds.

        A walk that is begun ends with nothing left to visit; whoever began it takes it away.
        """
        self._rules.clear()
        for folder in [folder for folder, at in self._due.items() if at <= now]:
            self.mark(folder)
        while self._dirty:
            folder, deep = self._dirty.popitem()
            if look := self._look(folder, now, self.mark_deep if deep else None):
                yield look
        end = time.monotonic() + walk_for
        while self.walk and self.walk.to_visit and time.monotonic() < end:
            folder = self.walk.to_visit.pop()
            self.walk.visited.add(folder)
            if look := self._look(folder, now, self.walk.to_visit.append, self.walk):
                yield look

    def mark_deep(self, folder: str) -> None:
        """Look at `folder` soon, with all below it."""
        self.mark(folder, deep=True)

    def _look(
        self, folder: str, now: float, visit: Callable[[str], None] | None, walk: Walk | None = None
    ) -> Look | None:
        """Look at one folder and call `visit` with those in it; None if there is nothing to say."""
        self._due.pop(folder, None)
        before = self._moving.pop(folder, {})
        if (rules := self._rules_in(folder)) is None:
            return None
        try:
            below, photos, hidden = self._entries(folder, rules)
        except (FileNotFoundError, NotADirectoryError):
            return Look(folder, {}, frozenset(), missing=True)
        except OSError as error:
            self._warn(folder, error)
            return None
        for name in below if visit else ():
            visit(f"{folder}/{name}" if folder else name)  # type: ignore[misc]  # it is not None
        known = self._known(Path(folder))
        settled = self._settle(folder, photos, known, before, now, walk)
        vanished = known.keys() - photos.keys()
        if vanished:
            vanished -= hidden
        if settled or vanished:
            return Look(folder, settled, frozenset(vanished))
        return None

    def _settle(
        self, folder: str, photos: dict[str, os.stat_result], known: dict[str, tuple[str, ...]],
        before: dict[str, Sight], now: float, walk: Walk | None,
    ) -> dict[str, Sight]:  # fmt: skip
        """Return what has not changed for long enough, and look again when more may have."""
        settled: dict[str, Sight] = {}
        moving: dict[str, Sight] = {}
        still = now - self._settle_seconds
        for name, found in photos.items():
            fingerprint = f"{found.st_size}-{found.st_mtime_ns}-{found.st_ino}"
            if name in known and fingerprint in known[name]:
                continue
            last = before.get(name)
            if walk and last is None and time.time() - found.st_ctime > OLD_NEWS_SECONDS:
                walk.untold += 1
            same = last is not None and last.fingerprint == fingerprint
            since = last.since if last and same else now
            sight = Sight(fingerprint, since, found.st_mtime, found.st_ctime)
            (settled if since <= still else moving)[name] = sight
        if walk:
            walk.photos += len(photos)
        if moving:
            self._moving[folder] = moving
            first = min(sight.since for sight in moving.values())
            self._due[folder] = first + self._settle_seconds
        return settled

    def _entries(
        self, folder: str, rules: Rules
    ) -> tuple[list[str], dict[str, os.stat_result], set[str]]:
        """Return the folders, the photos and the ignored photos in `folder`.

        Symbolic links are neither; nor is what lies in an output tree, which has a marker.
        """
        below: list[str] = []
        photos: dict[str, os.stat_result] = {}
        hidden: set[str] = set()
        patterns = bool(rules.specs or rules.made)
        with _opened(f"{self.root}/{folder}") as entries:
            for entry in entries:
                name = entry.name
                if name[0] == ".":
                    if name == MARKER and folder:
                        return [], {}, set()
                    continue
                try:
                    if entry.is_file(follow_symlinks=False):
                        dot = name.rfind(".")
                        if dot < 1 or name[dot:].lower() not in SUFFIXES:
                            continue
                        if patterns and rules.ignore(folder, name, is_folder=False):
                            hidden.add(name)
                        else:
                            photos[name] = entry.stat(follow_symlinks=False)
                    elif entry.is_dir(follow_symlinks=False):
                        below.append(name)
                except FileNotFoundError:
                    continue  # gone again
                except OSError as error:
                    hidden.add(name)  # it is there
                    self._warn(f"{folder}/{name}", error)
        return [name for name in below if not self._ignored(rules, folder, name)], photos, hidden

    def _rules_in(self, folder: str) -> Rules | None:
        """Return the rules that hold in `folder`; None if it is ignored, or lies in what is."""
        rules, at = self._rules.get(""), ""
        if rules is None:
            rules = self._rules[""] = self._owner.inside(self.root, "")
        for name in folder.split("/") if folder else ():
            inner = f"{at}/{name}" if at else name
            if inner not in self._rules:
                away = self._ignored(rules, at, name)
                self._rules[inner] = None if away else rules.inside(self.root, inner)
            rules, at = self._rules[inner], inner
            if rules is None:
                return None
        return rules

    @staticmethod
    def _ignored(rules: Rules, folder: str, name: str) -> bool:
        return ignore_rules.by_name(name) or rules.ignore(folder, name, is_folder=True)

    def _warn(self, path: str, error: OSError) -> None:
        """Say once what cannot be looked at, and no more when that has no end."""
        said = f"{error.errno} {path}"
        if said not in self._warned and len(self._warned) < WARNINGS:
            self._warned.add(said)
            log.warning("%r cannot be looked at: %s", os.fsencode(path), error.strerror)


@contextmanager
def _opened(folder: str) -> Iterator[Iterator[os.DirEntry[str]]]:
    """List a folder by its descriptor: each stat is a tenth faster, and no link is followed."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        with os.scandir(opened) as entries:
            yield entries
    finally:
        os.close(opened)
