"""Which old photos `photomend up FOLDER` mends if nobody says so: ask on a terminal, or leave them alone."""

import os
import shutil
import sys
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

import typer
from rich.prompt import Prompt
from sqlalchemy.exc import SQLAlchemyError

from daemon.console import session
from daemon.console.output import span
from daemon.watching import listing
from storage import fingerprints
from storage.database import backlog, status
from storage.database.records import Gallery
from storage.errors import PhotomendError
from storage.settings import settings
from storage.settings_gallery import GallerySettings
from storage.text import command, printable

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


def backlog_of(folder: Path, *, once: bool, workers: int) -> str:
    """Return which old photos of a folder are mended, or that a trial is made first.

    With `once`, all are. On a terminal the owner chooses if there are many, and few are all mended.
    Elsewhere it is as before: as the settings of this gallery say, or what was asked for last; and
    none of a folder that is not known yet.
    """
    folder = folder.expanduser().resolve()
    if once or not folder.is_dir():
        return Choice.ALL
    if on_terminal():
        return _choice(folder, workers)
    for gallery in settings().galleries.values():
        if gallery.path.resolve() == folder:
            return gallery.backlog
    row = _known(folder)
    asked = None if row is None else row.settings
    return str((asked or {}).get("backlog", Choice.NEW))


def on_terminal() -> bool:
    """Return whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def left_alone(folder: Path, output: Path | None) -> str:
    """Return that old photos are left alone, and what to type to mend them, in one line."""
    words = ["photomend", "up", "--backlog", "all", *(("--output", output) if output else ())]
    return (
        f"only new photos are mended: without a terminal nobody can be asked about those that are in "
        f"{printable(folder)} already; to mend all: {command(*words, of=folder)}"
    )


def _choice(folder: Path, workers: int) -> Choice:
    sizes = _waiting(folder)
    if len(sizes) <= MANY:
        return Choice.ALL
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
    row = _known(folder)
    if row is not None and row.scanned_at is not None:
        left = backlog.left(session.engine(), row.name)
        return [int(fingerprints.size(each)) for each in left]
    found = listing.photos(GallerySettings(folder))
    return [int(fingerprints.size(fingerprint)) for _, fingerprint in found]


def _known(folder: Path) -> Gallery | None:
    """Return the record of a folder that has been a gallery; None if it has not."""
    if session.exists():
        with suppress(PhotomendError, SQLAlchemyError):
            for row in status.galleries_known(session.engine()):
                if Path(os.path.realpath(row.root)) == folder:
                    return row
    return None
