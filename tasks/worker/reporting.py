"""Write the progress of a step to its job's row, at most every few seconds."""

import time
from collections.abc import Callable
from contextlib import suppress

from sqlalchemy.exc import SQLAlchemyError

from storage.database.records import Job
from tasks.progress import Progress
from tasks.worker import runtime

REPORT_SECONDS = 2.0
"""Shortest time between two reports."""


def reporter(job: Job) -> Callable[[Progress], None]:
    """Return what records the progress of this claim."""
    last = time.monotonic()

    def report(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= REPORT_SECONDS:
            last = time.monotonic()
            with suppress(SQLAlchemyError):  # the next report may succeed
                runtime.jobs().report(job, progress.done, progress.tiles, progress.tile_seconds)

    return report
