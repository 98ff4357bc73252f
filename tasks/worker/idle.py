"""The child's thread: end the child when it has been idle, to free its memory.

Only the end of a process frees all of its memory, on the GPU above all.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, Thread

from storage.settings import settings

_working = Lock()
_last = [time.monotonic()]


@contextmanager
def working() -> Iterator[None]:
    """Do not end the child inside the `with`."""
    with _working:
        yield
        _last[0] = time.monotonic()


def start(**_: object) -> None:
    """Start the thread; Celery calls this in the child."""
    Thread(target=_end_when_idle, name="idle", daemon=True).start()


def _end_when_idle() -> None:
    from tasks.worker import runtime

    pause_seconds = max(settings().idle_seconds / 10, 0.1)
    while True:
        time.sleep(pause_seconds)
        idle_seconds = time.monotonic() - _last[0]
        if runtime.loaded() and idle_seconds > settings().idle_seconds:
            with _working:  # a claim that had just begun is finished first
                if time.monotonic() - _last[0] > settings().idle_seconds:
                    os._exit(0)
