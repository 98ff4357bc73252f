"""The process of one gallery: it watches the gallery while online, and waits while it is offline.

A share can hang, and a process that hangs in it cannot even be killed. So this process does nothing
else, and the watcher can abandon it. It writes heartbeats and the ids of new jobs to stdout. It
ends when its stdin ends.
"""

import logging
import os
import sys
import time
import warnings
from threading import Event, Thread

from sqlalchemy.exc import SQLAlchemyError

from daemon.watching.online_gallery import OnlineGallery
from daemon.watching.pipe import Pipe
from daemon.watching.recorder import Recorder
from storage import database, logs
from storage.errors import DatabaseGone
from storage.settings import settings

log = logging.getLogger(__name__)

LONGEST_PAUSE_SECONDS = 30.0
"""Longest pause between two checks whether an offline gallery is back."""


class GalleryProcess:
    """Watch a gallery whenever it is online."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._pipe = Pipe()
        self._stop = Event()
        self._online: OnlineGallery | None = None
        """None while the gallery is offline."""

    def stop(self) -> None:
        """Return from `run` soon."""
        self._stop.set()
        if online := self._online:
            online.wake()

    def run(self) -> None:
        """Watch the gallery whenever it is online, until `stop` is called."""
        pause = 1.0
        while not self._stop.is_set():
            reason = self._recorder.why_offline()
            if reason is None:
                pause = 1.0
                reason = self._watch_online()
            if reason is not None:
                self._recorder.note_offline(reason)
            self._pipe.heartbeat()
            self._stop.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _watch_online(self) -> str | None:
        """Watch until the gallery goes offline; return why it did, None if `stop` was called."""
        try:
            self._online = OnlineGallery(self._recorder, self._pipe, self._stop)
            return self._online.run()
        except OSError as error:
            log.warning("gallery %s: %s; it is checked again", self._recorder.name, error)
            return self._recorder.why_offline()
        finally:
            self._online = None


def main(name: str) -> int:
    """Watch the gallery `name` until stdin ends; return the exit code."""
    logs.to_stderr()
    logging.getLogger("watchdog").propagate = False  # lost events are logged in our words
    warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)
    jobs = database.open_engine(settings().database)
    process = GalleryProcess(Recorder(name, settings().gallery(name), jobs))
    Thread(target=_end_with_stdin, args=(process,), daemon=True).start()
    try:
        process.run()
    except DatabaseGone as error:
        log.error("gallery %s: %s", name, error)
        Pipe().ends(str(error))
        return 1
    except SQLAlchemyError as error:
        log.error("gallery %s: the database does not answer: %s", name, error)
        Pipe().ends(f"the database does not answer: {error}".partition("\n")[0])
        return 1
    except Exception as error:
        Pipe().ends(f"{type(error).__name__}: {error}")
        raise
    return 0


def _end_with_stdin(process: GalleryProcess) -> None:
    """Stop when the watcher closes the pipe or dies; exit if a scan does not end in time."""
    sys.stdin.read()
    process.stop()
    time.sleep(settings().stop_seconds)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
