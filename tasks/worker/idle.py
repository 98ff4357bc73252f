"""The child's thread: end the child when it has been idle and its memory must be freed.

Only the end of a process frees all of its memory, on the GPU above all.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Lock, Thread

from sqlalchemy.exc import SQLAlchemyError

from storage.settings import settings

_working, _ending = Lock(), Event()
RETURN_SECONDS = 0.2
"""Seconds in which Celery's parent learns that the last task has returned."""
_last = [time.monotonic()]


@contextmanager
def working() -> Iterator[None]:
    """Do not end the child inside the `with`."""
    with _working:
        yield
        _last[0] = time.monotonic()


def end_child() -> None:
    """End this child after its present claim: its networks cannot be used any more."""
    _ending.set()


def is_ending() -> bool:
    """Return whether this child must not claim another job."""
    return _ending.is_set()


def start(**_: object) -> None:
    """Start the thread; Celery calls this in the child."""
    Thread(target=_end_when_idle, name="idle", daemon=True).start()


def _end_when_idle() -> None:
    from tasks.worker import device

    pause_seconds = max(settings().idle_seconds / 10, 0.1)
    while True:
        if _ending.wait(pause_seconds):
            time.sleep(RETURN_SECONDS)
            with _working:
                os._exit(0)
        with _working, suppress(SQLAlchemyError):  # a claim that had just begun is finished first
            if device.must_free_memory(time.monotonic() - _last[0]):
                os._exit(0)
