"""Ask before thousands of old photos are mended: `photomend up FOLDER` on a terminal."""

import os
import shutil
import sys
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

import sqlalchemy as sa
import typer
from rich.prompt import Prompt
from sqlalchemy.exc import SQLAlchemyError

from daemon.console import session
from daemon.console.output import span
from daemon.watching import listing
from storage import fingerprints
from storage.database import backlog, status
from storage.errors import PhotomendError
from storage.settings_gallery import GallerySettings
from storage.text import printable

MANY = 500
"""Number of old photos from which the owner is asked."""
LEAST, MOST = 0.25, 1.5
"""Seconds for a megapixel of a photo that is only classified, and of one that is mended, on one core
(`docs/experiments.md`)."""
BYTES_PER_MEGAPIXEL = 330_000
"""Of a usual JPEG."""


class Choice(StrEnum):
    """What the owner wants to be done with the old photos."""

    ALL = "all"
    NEW = "new"
    TRIAL = "trial"


def choose(folder: Path, workers: int) -> Choice | None:
    """Return what the owner chooses; None if nobody is asked.

    Nobody is asked without a terminal, or if few photos would be queued.
    """
    folder = folder.expanduser().resolve()
    if not (sys.stdin.isatty() and sys.stdout.isatty() and folder.is_dir()):
        return None
    sizes = _waiting(folder)
    if len(sizes) <= MANY:
        return None
    megapixels = sum(sizes) / BYTES_PER_MEGAPIXEL
    shortest, longest = (span(megapixels * pace / workers) for pace in (LEAST, MOST))
    free = shutil.disk_usage(folder.parent).free / 1e9
    typer.echo(
        f"{printable(folder)} has {len(sizes):,} photos ({sum(sizes) / 1e9:.1f} GB). To look at all takes "
        f"about {shortest}, and {longest} if each is mended; then their copies take as much room "
        f"again, of {free:.0f} GB that are free beside it. This is a guess from the sizes of the files; a trial "
        "mends a few and measures."
    )
    words = [choice.value for choice in Choice]
    asked = "Mend all, only new photos from now on, or make a trial first?"
    try:
        return Choice(Prompt.ask(asked, choices=words, default=Choice.TRIAL.value))
    except EOFError as error:
        raise typer.Abort from error


def _waiting(folder: Path) -> list[int]:
    """Return the sizes in bytes of the photos that `up` would queue: new ones and the backlog."""
    if session.exists():
        with suppress(PhotomendError, SQLAlchemyError):
            engine = session.engine()
            for row in status.galleries_known(engine):
                if Path(os.path.realpath(row.root)) == folder and row.scanned_at is not None:
                    return _left(engine, row.name)
    found = listing.photos(GallerySettings(folder))
    return [int(fingerprints.size(fingerprint)) for _, fingerprint in found]


def _left(engine: sa.Engine, gallery: str) -> list[int]:
    return [int(fingerprints.size(each)) for each in backlog.left(engine, gallery)]
