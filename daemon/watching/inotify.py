"""Hints from inotify: look at this folder again.

watchdog's threads do nothing but note the folder: an exception there would end them for ever, and
whoever is slow there loses events.
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

from daemon.watching import ignore_rules

EVENTS: list[type[FileSystemEvent]] = [
    DirCreatedEvent, DirDeletedEvent, DirMovedEvent, FileAttribEvent, FileClosedEvent,
    FileCreatedEvent, FileDeletedEvent, FileModifiedEvent, FileMovedEvent,
]  # fmt: skip
"""All but who opens and reads: the kernel is not even asked for those."""
QUEUE_SECONDS = 60.0
"""watchdog's thread wakes this often though nothing happened."""


class Hints(FileSystemEventHandler):
    """The folders that events have told of, each once, and whether events were lost."""

    def __init__(self) -> None:
        self.root = ""
        self.lost = False
        self._folders: dict[str, bool] = {}
        self._awake = False
        self._changed = Condition()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Note the folder; one that was made, moved or removed with all that is below it."""
        for path in {event.src_path, event.dest_path}:
            if path:
                self._note(str(path), is_folder=event.is_directory)

    def lose(self) -> None:
        """Note that events were lost."""
        with self._changed:
            self.lost = True
            self._changed.notify()

    def wake(self) -> None:
        """Let who waits go on now."""
        with self._changed:
            self._awake = True
            self._changed.notify()

    def take(self, seconds: float, gather_seconds: float = 0.0) -> dict[str, bool]:
        """Wait until there is a hint, but not longer than `seconds`; return folder and depth.

        Hints come in bursts, so wait a little for those that follow the first one.
        """
        with self._changed:
            if self._changed.wait_for(lambda: self._folders or self.lost or self._awake, seconds):
                self._changed.wait_for(lambda: self._awake, gather_seconds)
            self._awake = False
            folders, self._folders = self._folders, {}
        return folders

    def _note(self, path: str, *, is_folder: bool) -> None:
        below = path[len(self.root) :].strip("/")
        folder, _, name = below.rpartition("/")
        deep = is_folder or name == ignore_rules.IGNORE_FILE
        if is_folder:
            folder = below
        if not folder or not any(map(ignore_rules.by_name, folder.split("/"))):
            with self._changed:
                self._folders[folder] = deep or self._folders.get(folder, False)
                self._changed.notify()


class _Overflow(logging.Handler):
    """Hear watchdog say, in its log and nowhere else, that events were lost."""

    def __init__(self, hints: Hints) -> None:
        super().__init__(logging.WARNING)
        self._hints = hints

    def emit(self, record: logging.LogRecord) -> None:
        self._hints.lose()


class Watch:
    """One recursive watch with inotify, until it is closed."""

    def __init__(self, hints: Hints) -> None:
        self._overflow = _Overflow(hints)
        logging.getLogger("watchdog").addHandler(self._overflow)
        self._observer = Observer(timeout=QUEUE_SECONDS)
        self._observer.schedule(hints, hints.root, recursive=True, event_filter=EVENTS)
        self._observer.start()

    def lives(self) -> bool:
        """Return whether all threads live; one ends when its root was away for a moment."""
        emitters = self._observer.emitters
        return self._observer.is_alive() and bool(emitters) and all(e.is_alive() for e in emitters)

    def close(self) -> None:
        """Watch no longer."""
        logging.getLogger("watchdog").removeHandler(self._overflow)
        self._observer.stop()
        self._observer.join()
