"""inotify events, reduced to the folders that must be scanned.

watchdog's threads only note a folder: an exception would end them, and a slow handler loses events.
"""

import logging
from threading import Condition

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileAttribEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from daemon.watching.ignore_rules import IGNORE_FILE
from storage import filesystems
from storage.enums import WatchMode
from storage.ignored_names import is_ignored

EVENTS: list[type[FileSystemEvent]] = [
    DirCreatedEvent, DirDeletedEvent, DirMovedEvent, FileAttribEvent, FileClosedEvent,
    FileCreatedEvent, FileDeletedEvent, FileModifiedEvent, FileMovedEvent,
]  # fmt: skip
"""The events that the kernel is asked for: all except opening and reading."""
OBSERVER_SECONDS = 60.0
"""Seconds after which watchdog's thread wakes when there is no event."""


class EventsUnavailable(Exception):
    """A gallery cannot be watched by events and must be polled; the message is the reason."""


class ChangedFolders(FileSystemEventHandler):
    """The folders below `root` that events named since they were last taken."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.events_lost = False
        self.rules_changed = False
        """An ignore file was written, moved or removed."""
        self._folders: dict[str, bool] = {}
        self._woken = False
        self._changed = Condition()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Add the folder of the event; recursively if a folder was made, moved or removed."""
        for path in {event.src_path, event.dest_path}:
            if path:
                self._add(str(path), is_folder=event.is_directory)

    def note_lost_events(self) -> None:
        """Note that events were lost."""
        with self._changed:
            self.events_lost = True
            self._changed.notify()

    def wake(self) -> None:
        """Wake the waiting thread."""
        with self._changed:
            self._woken = True
            self._changed.notify()

    def take(self, seconds: float, gather_seconds: float = 0.0) -> dict[str, bool]:
        """Wait at most `seconds` for an event; return folders, and whether to scan recursively.

        Events come in bursts, so those of the next `gather_seconds` are returned with the first.
        """
        with self._changed:
            if self._changed.wait_for(
                lambda: self._folders or self.events_lost or self._woken, seconds
            ):
                self._changed.wait_for(lambda: self._woken, gather_seconds)
            self._woken = False
            folders, self._folders = self._folders, {}
        return folders

    def _add(self, path: str, *, is_folder: bool) -> None:
        below = path[len(self.root) :].strip("/")
        folder, _, name = below.rpartition("/")
        recursive = is_folder or name == IGNORE_FILE
        if is_folder:
            folder = below
        if not folder or not any(map(is_ignored, folder.split("/"))):
            with self._changed:
                self.rules_changed = self.rules_changed or name == IGNORE_FILE
                self._folders[folder] = recursive or self._folders.get(folder, False)
                self._changed.notify()


class _OverflowHandler(logging.Handler):
    """Note lost events, which watchdog reports in its log only."""

    def __init__(self, changed: ChangedFolders) -> None:
        super().__init__(logging.WARNING)
        self._changed = changed

    def emit(self, record: logging.LogRecord) -> None:
        self._changed.note_lost_events()


class InotifyWatch:
    """A recursive inotify watch, until it is closed."""

    def __init__(self, changed: ChangedFolders) -> None:
        self._overflow = _OverflowHandler(changed)
        logging.getLogger("watchdog").addHandler(self._overflow)
        self._observer = Observer(timeout=OBSERVER_SECONDS)
        self._observer.schedule(changed, changed.root, recursive=True, event_filter=EVENTS)
        self._observer.start()

    def is_alive(self) -> bool:
        """Return whether all threads run; one ends when its root was missing for a moment."""
        emitters = self._observer.emitters
        return self._observer.is_alive() and bool(emitters) and all(e.is_alive() for e in emitters)

    def close(self) -> None:
        """Stop watching."""
        logging.getLogger("watchdog").removeHandler(self._overflow)
        self._observer.stop()
        self._observer.join()


def open_watch(changed: ChangedFolders, mode: WatchMode) -> InotifyWatch:
    """Start a watch of all folders below `changed.root`, as the setting `watch` asks.

    Raises:
        EventsUnavailable: the gallery must be polled.

    """
    if mode == WatchMode.POLLING:
        raise EventsUnavailable("set so")
    needed = _folders_to_watch(changed.root) if mode == WatchMode.AUTO else 0
    try:
        watch = InotifyWatch(changed)
    except OSError as error:
        raise EventsUnavailable(f"no watch can be set: {error.strerror}") from error
    if filesystems.watches() < needed:
        watch.close()
        raise EventsUnavailable("not all folders could be watched; see fs.inotify.max_user_watches")
    return watch


def _folders_to_watch(root: str) -> int:
    """Return how many folders need a watch.

    Raises:
        EventsUnavailable: events are not reliable there, or the folders are too many.

    """
    mount = filesystems.mount_of(root)
    if not mount.tells_events:
        raise EventsUnavailable(f"{mount.kind} does not report what other machines write")
    budget = filesystems.watch_budget()
    count = filesystems.folders(root, budget)
    if count > budget:
        raise EventsUnavailable(
            f"its folders are more than {budget}, half of what may be watched; "
            f"raise it: sysctl fs.inotify.max_user_watches={4 * budget}"
        )
    return count
