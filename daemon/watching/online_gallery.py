"""Watch a gallery while it is online: scan folders, follow events, record what is found."""

import logging
import os
import random
import stat
import time
from collections.abc import Iterable
from pathlib import Path
from threading import Event

from daemon.watching import ignore_rules
from daemon.watching.inotify import ChangedFolders, EventsUnavailable, InotifyWatch, open_watch
from daemon.watching.pipe import Pipe
from daemon.watching.recorder import Recorder
from daemon.watching.scanned_rules import ScannedRules
from daemon.watching.scanner import FullScan, NewPhoto, ScannedFolder, Scanner
from storage import filesystems
from storage.database.conditions import chunks
from storage.settings import settings
from storage.text import counted

log = logging.getLogger(__name__)

CHECK_SECONDS = 10.0
"""Longest pause between two checks whether the gallery is still online."""
GATHER_SECONDS = 0.02
"""Events within this many seconds after the first are handled with it."""
SLICE_SECONDS = 0.2
"""Seconds after which a full scan pauses to handle events."""
SHORTEST_FULL_SCAN_PAUSE_SECONDS = 60.0
"""Shortest pause between full scans; it is reached if they find what events did not report."""
LOST_EVENTS_PAUSE_SECONDS = 1.0
"""Seconds before the full scan after lost events, since a burst often loses events repeatedly."""


PHOTOS_AT_ONCE = 10_000
"""Number of photos of one folder that are recorded in one transaction, about a second."""


class OnlineGallery:
    """A gallery from the moment it goes online until it goes offline."""

    def __init__(self, recorder: Recorder, pipe: Pipe, stop: Event) -> None:
        self._recorder = recorder
        self._pipe = pipe
        self._stop = stop
        self._root = os.path.realpath(recorder.settings.path)
        self._mount = _mount_identity(self._root)
        self._scanner = Scanner(
            self._root, ignore_rules.gallery_rules(recorder.settings), recorder.known,
            settings().settle_seconds, pipe.heartbeat,
        )  # fmt: skip
        self._scanned = ScannedRules(recorder, self._scanner)
        self._changed = ChangedFolders(self._root)
        self._watch: InotifyWatch | None = None
        """None if the gallery is polled."""
        self._events_lost = False
        """Since the last full scan began."""
        self._next_check = time.monotonic() + _check_seconds()
        self._next_full_scan = 0.0
        self._full_scan_pause = recorder.settings.rescan_seconds
        self._touched: set[str] = set()
        """The folders of events since the last check."""

    def wake(self) -> None:
        """Notice now that `stop` is set."""
        self._changed.wake()

    def run(self) -> str | None:
        """Watch until the gallery goes offline or `stop` is set; return why it is offline.

        Raises:
            OSError: the root cannot be read any more.

        """
        try:
            self._begin()
            while not self._stop.is_set():
                began = time.monotonic()
                self._record(self._scanner.scan(began, SLICE_SECONDS))
                self._end_full_scan()
                took = time.monotonic() - began
                self._pipe.heartbeat()
                if began >= self._next_check and not self._check():
                    return self._recorder.why_offline()
                if began >= self._next_full_scan and not self._scanner.full_scan:
                    self._begin_full_scan()
                self._take_events(took)
            return None
        finally:
            self._close_watch()

    def _begin(self) -> None:
        """Note that the gallery is online, apply its settings, and start the first full scan."""
        before = self._recorder.row()
        self._recorder.note_online(self._root, self._open_watch())
        self._scanned.begin(before)
        self._recorder.apply_settings(before.settings if before else None)
        self._begin_full_scan(expected=True)

    def _check(self) -> bool:
        """Return whether the gallery is still online; restart a watch that has ended."""
        if not self._still_online():
            return False
        self._recorder.stay_online()
        if self._watch and not self._watch.is_alive():
            self._restart_watch("its watch ended")
        for folder in self._recorder.asked_folders():
            self._scanner.mark(folder)
        if self._touched:
            self._queue_filled(self._touched)
            self._touched = set()
        self._next_check = time.monotonic() + _check_seconds()
        return True

    def _queue_filled(self, folders: set[str] | None = None) -> None:
        """Queue photos that got their content after they were found to be unreadable."""
        if filled := self._recorder.queue_filled(self._root, folders):
            self._pipe.added(filled[: settings().max_pending_notifications])

    def _still_online(self) -> bool:
        root = os.path.realpath(self._recorder.settings.path)  # a link may have been turned
        online = self._recorder.why_offline() is None and _mount_identity(root) == self._mount
        if not online:
            self._next_check = 0.0
        return online

    # Record what scans find.

    def _record(self, scanned: Iterable[ScannedFolder]) -> None:
        """Record what was found, if it was found in the gallery: another disk may be there now.

        Vanished photos come first, so that a photo that was moved is known at its new place.
        """
        settled, vanished, missing = [], {}, set()
        for found in scanned:
            folder = Path(found.folder)
            if found.settled:
                settled.append((folder, found.settled))
            if found.vanished:
                vanished[folder] = found.vanished
            if found.missing:
                missing.add(found.folder)
            if found.ignored:
                self._scanned.leave(folder, found.ignored)
            self._pipe.heartbeat()
        if missing:
            known = self._recorder.known_folders()
            self._record_missing({f for f in known if _is_inside(f, missing)})
        if (vanished or settled) and self._still_online():
            for folder, photos in vanished.items():
                self._recorder.gone(folder, photos)
            for folder, new in settled:
                self._add(folder, new)

    def _add(self, folder: Path, photos: dict[str, NewPhoto]) -> None:
        for some in chunks(list(photos), PHOTOS_AT_ONCE):
            if added := self._recorder.add(folder, {name: photos[name] for name in some}):
                self._pipe.added(added[: settings().max_pending_notifications])
            self._pipe.heartbeat()

    def _record_missing(self, folders: set[str]) -> None:
        """Record that the photos of those folders that are missing have vanished."""
        missing = {folder for folder in folders if _is_missing(f"{self._root}/{folder}")}
        if missing and self._still_online():
            for folder in missing:
                self._recorder.gone(Path(folder))

    # Full scans.

    def _begin_full_scan(self, *, expected: bool = False) -> None:
        """Start a full scan. Set `expected` if it may find photos that raised no event."""
        first = self._scanned.next_is_first
        self._scanner.full_scan = FullScan(expected=expected or self._events_lost, first=first)
        self._events_lost = False
        self._next_full_scan = time.monotonic() + self._full_scan_pause * random.uniform(0.75, 1.25)

    def _end_full_scan(self) -> None:
        """Record what only a full scan shows, if one has ended."""
        full_scan = self._scanner.full_scan
        if full_scan is not None and not full_scan.to_visit:
            self._scanner.full_scan = None
            unvisited = self._recorder.known_folders() - full_scan.visited
            self._record_missing(unvisited)
            self._scanned.end(full_scan, unvisited)
            for folder in unvisited:  # it is ignored: its photos may have vanished all the same
                self._scanner.mark(folder)
            self._queue_filled()
            self._check_watch(full_scan)
        self._scanned.note_recorded()

    def _check_watch(self, full_scan: FullScan) -> None:
        """Restart the watch, and scan all more often, if events did not report what was found."""
        if self._watch is None:
            return self._try_events()
        if full_scan.expected:
            return None
        longest = self._recorder.settings.rescan_seconds
        if full_scan.unnoticed:
            pause = max(self._full_scan_pause / 2, SHORTEST_FULL_SCAN_PAUSE_SECONDS)
            self._full_scan_pause = min(pause, longest)
            self._restart_watch(f"no event reported {counted(full_scan.unnoticed, 'photo')}")
        elif filesystems.watches() < len(full_scan.visited):
            self._restart_watch("not all folders are watched")
        else:
            self._full_scan_pause = min(2 * self._full_scan_pause, longest)
        return None

    def _try_events(self) -> None:
        """Watch a polled gallery by events if that works by now."""
        self._recorder.note(watching=self._open_watch())
        if self._watch is not None:
            log.info("gallery %s is watched by events from now on", self._recorder.name)
            self._begin_full_scan(expected=True)

    # Events.

    def _take_events(self, took: float) -> None:
        """Wait for events and mark their folders; do not wait while a full scan goes on.

        In a burst events are gathered for as long as the last scan took, but at most a second.
        """
        until = min(self._next_check, self._next_full_scan, self._scanner.next_scan())
        seconds = max(0.0, until - time.monotonic())
        gather = min(max(GATHER_SECONDS, took), 1.0) if seconds else 0.0
        for folder, recursive in self._changed.take(seconds, gather).items():
            self._scanner.mark(folder, recursive=recursive)
            self._touched.add(folder or ".")
        if self._changed.rules_changed:
            self._changed.rules_changed = False
            self._next_full_scan = 0.0
        if self._changed.events_lost:
            self._changed.events_lost = False
            self._schedule_after_lost_events()

    def _schedule_after_lost_events(self) -> None:
        log.warning("gallery %s: events were lost; all folders are scanned", self._recorder.name)
        self._next_full_scan = time.monotonic() + LOST_EVENTS_PAUSE_SECONDS
        self._events_lost = True
        if self._scanner.full_scan:
            self._scanner.full_scan.expected = True

    def _open_watch(self) -> str:
        """Start to watch by events where that works; return how the gallery is watched."""
        try:
            self._watch = open_watch(self._changed, self._recorder.settings.watch)
        except EventsUnavailable as error:
            return f"polling ({error})"
        return "events"

    def _close_watch(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _restart_watch(self, reason: str) -> None:
        log.warning("gallery %s: %s; the watch is restarted", self._recorder.name, reason)
        self._close_watch()
        self._recorder.note(watching=self._open_watch())
        self._begin_full_scan(expected=True)


def _check_seconds() -> float:
    """Return the pause between two checks: an idle gallery sends no heartbeat meanwhile."""
    limits = settings().io_timeout_seconds, settings().worker_timeout_seconds
    return min(CHECK_SECONDS, min(limits) / 4)


def _mount_identity(root: str) -> tuple[int, int, int]:
    """Return a value that changes if `root` is replaced, or its filesystem is mounted again."""
    found = os.stat(root)  # noqa: PTH116
    return filesystems.mount_of(root).id, found.st_dev, found.st_ino


def _is_missing(path: str) -> bool:
    """Return whether there is no folder at `path`; False if that cannot be read."""
    try:
        return not stat.S_ISDIR(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False


def _is_inside(folder: str, outer: set[str]) -> bool:
    """Return whether `folder` is one of the folders `outer`, or below one."""
    parts = folder.split("/")
    return "" in outer or any("/".join(parts[:n]) in outer for n in range(1, len(parts) + 1))
