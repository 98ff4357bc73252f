"""The process that looks at one gallery, records its photos and says when it is away.

A share can hang, and a process that hangs in it cannot even be killed, so this one has nothing
else to do and can be left behind. It says on stdout that it lives ("alive") and which jobs it added
("added 7 8 9"); it ends when its stdin does.
"""

import logging
import os
import random
import stat
import sys
import time
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from daemon.watching import ignore_rules
from daemon.watching.inotify import Hints, Watch
from daemon.watching.scanner import Gallery, Look, Sight, Walk
from daemon.watching.watcher import note
from storage import availability, publishing
from storage.database.jobs import Jobs
from storage.database.tables import now as database_now
from storage.enums import BACKLOG
from storage.settings import GallerySettings, settings

log = logging.getLogger(__name__)

SAMPLE = 20
"""So many known photos are looked for in a gallery that looks strange."""
CHECK_SECONDS = 10.0
"""Pause between two looks whether the gallery is still there."""
LONGEST_PAUSE_SECONDS = 30.0
"""A gallery that is away is looked for at least this often."""
GATHER_SECONDS = 0.02
"""Hints come in bursts; those that follow the first within this time are taken with it."""
SLICE_SECONDS = 0.2
"""A walk stops this often for what events tell."""
SHORTEST_WALK_PAUSE_SECONDS = 60.0
"""Walks that find what no event told come more often, but not more often than this."""
LOST_PAUSE_SECONDS = 1.0
"""A burst that overflows the kernel's queue may do so again at once."""
SAID_SECONDS = 1.0
"""It says no more often than this that it lives."""


class Lookout:
    """One gallery, online or not."""

    def __init__(self, name: str, gallery: GallerySettings, jobs: Jobs) -> None:
        self._name = name
        self._settings = gallery
        self._jobs = jobs
        self._stop = Event()
        self._said = 0.0
        self._hints = Hints()
        self._folders = 0
        self._events_lost = False
        self._next_check = 0.0
        self._watch: Watch | None = None
        self._watching = ""

    def stop(self) -> None:
        """End soon."""
        self._stop.set()
        self._hints.wake()

    def run(self) -> None:
        """Look at the gallery, whenever it is there, until `stop` is called."""
        pause = 1.0
        while not self._stop.is_set():
            reason = self._why_offline()
            if reason is None:
                pause = 1.0
                reason = self._while_online()
            if reason is not None:
                self._note_offline(reason)
            self._say("alive")
            self._stop.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _while_online(self) -> str | None:
        """Watch until the gallery goes offline; return why it did, None if it was asked to stop."""
        self._root = self._hints.root = os.path.realpath(self._settings.path)
        self._mount = _mounted(self._root)
        self._gallery = Gallery(
            self._root, ignore_rules.rules(self._settings), self._known, settings().settle_seconds
        )
        row = self._jobs.gallery(self._name)
        # A little earlier, because the clock of a filesystem may be a tick behind.
        began = time.time() - 0.01
        self._first_walk_began = began if row is None or row.walked_at is None else None
        self._first_walk_done = False
        self._walk_pause = self._settings.walk_seconds
        try:
            self._start_watch()
            self._note_online()
            self._begin_walk(told=True)
            return self._look_on()
        except OSError as error:
            log.warning("gallery %s: %s; looking again", self._name, error)
            return self._why_offline()
        finally:
            self._close_watch()

    def _look_on(self) -> str | None:
        self._next_check = time.monotonic() + self._check_seconds()
        while not self._stop.is_set():
            began = time.monotonic()
            self._record(self._gallery.look(began, SLICE_SECONDS))
            self._end_walk()
            took = time.monotonic() - began
            self._say("alive")
            if began >= self._next_check:
                if self._why_offline() or _mounted(self._root) != self._mount:
                    return self._why_offline()
                if self._watch and not self._watch.lives():
                    self._again("its watch ended")
                self._next_check = time.monotonic() + self._check_seconds()
            if began >= self._next_walk and not self._gallery.walk:
                self._begin_walk()
            nearest = min(self._next_check, self._next_walk, self._gallery.next_look())
            self._take_hints(nearest, took)
        return None

    def _take_hints(self, until: float, took: float) -> None:
        """Wait for hints, in walks not at all; in a burst they wait as long as a look takes."""
        gather = min(max(GATHER_SECONDS, took), 1.0)
        waits = max(0.0, until - time.monotonic())
        for folder, deep in self._hints.take(waits, gather if waits else 0.0).items():
            self._gallery.mark(folder, deep=deep)
        if self._hints.lost:
            self._hints.lost = False
            log.warning("gallery %s: events were lost, so all of it is looked at", self._name)
            self._next_walk = time.monotonic() + LOST_PAUSE_SECONDS
            self._told = self._events_lost = True

    # What was found.

    def _record(self, looks: Iterable[Look]) -> None:
        """Write down what looks found; what vanished only if the gallery is still there."""
        vanished, missing = {}, set()
        for look in looks:
            if look.settled:
                self._add(Path(look.folder), look.settled)
            if look.vanished:
                vanished[look.folder] = look.vanished
            if look.missing:
                missing.add(look.folder)
            self._say("alive")
        if missing:
            self._forget_folders({f for f in self._known_folders() if _inside(f, missing)})
        if vanished and self._still_there():
            for folder, names in vanished.items():
                self._jobs.gone(self._name, Path(folder), names)

    def _add(self, folder: Path, settled: Mapping[str, Sight]) -> None:
        """Queue new photos; of those that were there before us what the owner wants."""
        began = self._first_walk_began
        old = {n for n, sight in settled.items() if began is not None and sight.came_at < began}
        made = self._with_output(folder, old)
        since = self._settings.since
        left = {n for n in old if settled[n].modified_at < since} - made
        added = self._jobs.add(self._name, folder, _prints(settled, settled.keys() - old))
        added += self._jobs.add(self._name, folder, _prints(settled, old - left), rank=BACKLOG)
        self._jobs.note_backlog(self._name, folder, _prints(settled, left))
        if added:
            log.info("gallery %s: %d new in %a", self._name, len(added), str(folder))
            self._say(f"added {' '.join(map(str, added[: settings().window]))}", now=True)

    def _with_output(self, folder: Path, names: set[str]) -> set[str]:
        """Return those that a lost database had mended: their outputs are there."""
        try:
            outputs = (
                {p.name for p in (self._settings.output_root / folder).iterdir()} if names else ()
            )
        except OSError:
            return set()
        template = self._settings.template
        return {
            name
            for name in names
            if outputs
            and any(
                output.name in outputs
                for suffix in {Path(name).suffix, ".jpg"}
                for output in publishing.candidates(Path(name), template, suffix)
            )
        }

    def _known(self, folder: Path) -> dict[str, tuple[str, ...]]:
        return self._jobs.known(self._name, folder)

    def _known_folders(self) -> set[str]:
        return {"" if folder == "." else folder for folder in self._jobs.folders(self._name)}

    def _forget_folders(self, folders: set[str]) -> None:
        """Note that the photos of folders which are not there are gone."""
        away = {folder for folder in folders if _is_away(f"{self._root}/{folder}")}
        if away and self._still_there():
            for folder in away:
                self._jobs.gone(self._name, Path(folder))

    # Walks.

    def _begin_walk(self, *, told: bool = False) -> None:
        """Look at all folders; `told` if it is no wonder when no event told what it finds."""
        self._gallery.walk = Walk()
        self._told = told or self._events_lost
        self._events_lost = False
        self._next_walk = time.monotonic() + self._walk_pause * random.uniform(0.75, 1.25)

    def _end_walk(self) -> None:
        """Write down what only a whole walk can tell."""
        walk = self._gallery.walk
        if walk is not None and not walk.to_visit:
            self._gallery.walk = None
            self._forget_folders(self._known_folders() - walk.visited)
            self._first_walk_done = True
            self._note_walk(walk)
            self._doubt_watch(walk)
        began = self._first_walk_began
        if self._first_walk_done and began is not None:
            if any(sight.came_at < began for sight in self._gallery.unsettled()):
                return
            self._first_walk_began = None
            self._jobs.note_gallery(self._name, walked_at=database_now())
            log.info("gallery %s: the first walk has ended", self._name)

    def _note_walk(self, walk: Walk) -> None:
        columns: dict[str, Any] = {"photos": walk.photos}
        columns["walk_seconds"] = time.monotonic() - walk.began
        if self._first_walk_began is None:
            columns["walked_at"] = database_now()
        self._jobs.note_gallery(self._name, **columns)

    def _doubt_watch(self, walk: Walk) -> None:
        """Judge by what the walk found whether events still come."""
        if self._watch is None or self._told:
            return
        if walk.untold:
            self._walk_pause = max(self._walk_pause / 2, SHORTEST_WALK_PAUSE_SECONDS)
            self._walk_pause = min(self._walk_pause, self._settings.walk_seconds)
            self._again(f"no event told of {walk.untold} photos")
        elif availability.watches() < len(walk.visited):
            self._again("not all folders are watched")
        else:
            self._walk_pause = min(2 * self._walk_pause, self._settings.walk_seconds)

    # Events.

    def _start_watch(self) -> None:
        reason = self._why_walks()
        if reason is None:
            try:
                self._watch = Watch(self._hints)
            except OSError as error:
                reason = f"no watch can be set: {error.strerror}"
        if (
            self._watch
            and self._settings.watch == "auto"
            and availability.watches() < self._folders
        ):
            self._close_watch()
            reason = "not all folders could be watched; see fs.inotify.max_user_watches"
        self._watching = "events" if reason is None else f"walks ({reason})"

    def _why_walks(self) -> str | None:
        """Return why events cannot be trusted here; None if they can."""
        if self._settings.watch != "auto":
            return "set so" if self._settings.watch == "walks" else None
        mount = availability.mount_of(self._root)
        if not mount.tells_events:
            return f"{mount.kind} does not tell what others write"
        budget = availability.watch_budget()
        self._folders = availability.folders(self._root, budget)
        if self._folders > budget:
            return (
                f"its folders are more than {budget}, half of what may be watched; "
                f"raise it: sysctl fs.inotify.max_user_watches={4 * budget}"
            )
        return None

    def _again(self, reason: str) -> None:
        log.warning("gallery %s: %s, so it is watched anew", self._name, reason)
        self._close_watch()
        self._start_watch()
        self._jobs.note_gallery(self._name, watching=self._watching)
        self._begin_walk(told=True)

    def _close_watch(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    # Online or not.

    def _why_offline(self) -> str | None:
        row = self._jobs.gallery(self._name)
        return availability.why_offline(
            self._settings.path, self._settings.mount_point, row.identity if row else None,
            lambda: self._jobs.sample(self._name, SAMPLE),
        )  # fmt: skip

    def _still_there(self) -> bool:
        there = self._why_offline() is None and _mounted(self._root) == self._mount
        if not there:
            self._next_check = 0.0
        return there

    def _note_online(self) -> None:
        kind = availability.mount_of(self._root).kind
        note(
            self._jobs, self._name, filesystem=kind, identity=availability.identity(self._root),
            watching=self._watching, online=True, reason=None,
        )  # fmt: skip
        log.info("gallery %s is online (%s, %s)", self._name, kind, self._watching)

    def _note_offline(self, reason: str) -> None:
        """Say it once, however long it lasts."""
        row = self._jobs.gallery(self._name)
        if row is None or row.online or row.reason != reason:
            log.warning("gallery %s is offline: %s", self._name, reason)
            note(self._jobs, self._name, online=False, reason=reason)

    def _check_seconds(self) -> float:
        return min(CHECK_SECONDS, settings().hang_seconds / 4)

    def _say(self, text: str, *, now: bool = False) -> None:
        if now or time.monotonic() >= self._said + min(SAID_SECONDS, settings().hang_seconds / 4):
            self._said = time.monotonic()
            with suppress(BrokenPipeError):  # the parent died; stdin says so too
                os.write(sys.stdout.fileno(), f"{text}\n".encode())


def main(name: str) -> int:
    """Look at the gallery `name` until stdin ends; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    logging.getLogger("watchdog").propagate = False  # we say it in our words
    warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)
    lookout = Lookout(name, settings().gallery(name), Jobs.at(settings().database))
    Thread(target=_end_with_stdin, args=(lookout,), daemon=True).start()
    try:
        lookout.run()
    except SQLAlchemyError as error:
        log.error("gallery %s: the database does not answer: %s", name, error)
        return 1
    return 0


def _end_with_stdin(lookout: Lookout) -> None:
    """Stop when the parent closes the pipe or dies, by force if a look does not end."""
    sys.stdin.read()
    lookout.stop()
    time.sleep(settings().stop_seconds)
    os._exit(1)


def _mounted(root: str) -> tuple[int, int, int]:
    """Return what changes whenever something else lies at `root`, or the same is mounted again."""
    found = os.stat(root)  # noqa: PTH116
    return availability.mount_of(root).id, found.st_dev, found.st_ino


def _is_away(path: str) -> bool:
    try:
        return not stat.S_ISDIR(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False  # it cannot be read, which is something else


def _inside(folder: str, missing: set[str]) -> bool:
    parts = folder.split("/")
    return "" in missing or any("/".join(parts[:n]) in missing for n in range(1, len(parts) + 1))


def _prints(settled: Mapping[str, Sight], names: Iterable[str]) -> dict[str, str]:
    return {name: settled[name].fingerprint for name in names}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
