"""The command `accept`: take the folder, the disk and the output that a gallery has now."""

import os
import socket
from pathlib import Path
from typing import Annotated, Any

import typer

from daemon.console import session, targets
from daemon.console.exit_codes import Unknown
from daemon.console.output import section
from storage import availability, filesystems, output_folder
from storage.database import galleries, search, takeover
from storage.database.records import Gallery
from storage.ignored_names import is_ignored
from storage.settings import settings
from storage.settings_gallery import BESIDE, GallerySettings
from storage.text import command, counted, printable


def accept(
    name: Annotated[
        str, typer.Argument(metavar="GALLERY", help="Name of a gallery, or its folder.")
    ],
) -> None:
    """Take the folder, the disk and the output that a gallery has now for the right ones.

    It prints what was known and what is there. Photos that are not there count as gone; unknown ones
    on another disk are backlog; results stay where they are. Records that `photomend up FOLDER` made
    of the same folder get the name that it has in the settings.

    Example: photomend accept family
    """
    name, gallery = _named(name)
    root = _present(gallery)
    row = galleries.get(session.engine(), name)
    before = None if row is not None and row.identity else _former(name, root)
    recorded = name if before is None else before.name
    known = before or row
    section("known", _known(recorded, known))
    section("there", _there(recorded, gallery, root))
    if before is not None:
        if reason := takeover.rename(session.engine(), before.name, name):
            raise Unknown(printable(reason))
        typer.echo(f"the records of {printable(before.name)} have the name {printable(name)} now")
    _take_output(name, recorded, gallery)
    if known is not None:
        empty = all(map(is_ignored, os.listdir(root)))  # noqa: PTH208
        columns: dict[str, Any] = {"root": gallery.path, "output": gallery.output_root}
        columns |= availability.recognisable(root)
        if not empty and columns["identity"] != known.identity:
            columns["scanned_at"] = None  # what the next full scan finds on another disk is old
        gone = takeover.take(session.engine(), name, columns, empty=empty)
        if gone:
            typer.echo(f"recorded as gone: {counted(gone, 'photo')}")
    typer.echo(f"{printable(name)} is accepted")


def _named(name: str) -> tuple[str, GallerySettings]:
    """Return the gallery of this name or with this folder, also one that only `up FOLDER` runs.

    Raises:
        Unknown: there is none.

    """
    for found in targets.roots():
        if name == found.gallery:
            return name, targets.gallery(name)
    path = Path(os.path.normpath(Path(name).absolute()))
    for found in targets.roots():
        if path == found.root or (path.is_dir() and path.resolve() == found.root.resolve()):
            return found.gallery, targets.gallery(found.gallery)
    raise Unknown(
        f"there is no gallery {printable(name)}; there are "
        + (", ".join(printable(found.gallery) for found in targets.roots()) or "none")
    )


def _present(gallery: GallerySettings) -> str:
    """Return the real path of the gallery's folder.

    Raises:
        Unknown: it cannot be accepted, because it is away.

    """
    nothing_known = availability.why_offline(
        gallery.path, gallery.mount_point, None, lambda _count: ()
    )
    if nothing_known is not None:
        raise Unknown(nothing_known)
    return os.path.realpath(gallery.path)


def _former(name: str, root: str) -> Gallery | None:
    """Return the gallery of the same folder under another name, which is in no settings now."""
    others = takeover.others(session.engine(), name, socket.gethostname())
    for other in others:
        if other.name not in settings().galleries and other.real_root == Path(root):
            return other
    return None


def _known(name: str, row: Gallery | None) -> list[str]:
    """Return what was recorded of a gallery."""
    if row is None:
        return ["nothing: the gallery is new"]
    photos = len(galleries.sample(session.engine(), name, availability.SAMPLE))
    return [
        f"folder {printable(row.real_root or row.root)}, {printable(row.identity)}",
        f"output {printable(row.output)}",
        counted(row.photos or photos, "photo"),
    ]


def _there(name: str, gallery: GallerySettings, root: str) -> list[str]:
    """Return what is there now, and how much of what was recorded."""
    photos = galleries.sample(session.engine(), name, availability.SAMPLE)
    results = search.sample_outputs(session.engine(), name, availability.SAMPLE)
    there = sum(os.path.lexists(f"{root}/{photo}") for photo in photos)
    made = sum(os.path.lexists(gallery.output_root / result) for result in results)
    return [
        f"folder {printable(root)}, {printable(filesystems.identity(root))}",
        f"output {printable(gallery.output_root)}",
        f"looked for: {there} of {counted(len(photos), 'photo')}, {made} of {counted(len(results), 'result')}",
    ]


def _take_output(name: str, recorded: str, gallery: GallerySettings) -> None:
    """Write the marker of the output root, if it is not there.

    Raises:
        Unknown: the output's disk is away, or it is the output of another gallery.

    """
    root = gallery.output_root
    if gallery.name in BESIDE:
        return
    marked = output_folder.marked_for(root)
    if marked == name:
        return
    used = search.has_outputs(session.engine(), name)
    if not used and marked is None:
        return  # the first result makes it
    known = {found.gallery for found in targets.roots()} - {name, recorded}
    if marked in known:
        raise Unknown(
            f"the output {printable(root)} belongs to the gallery {printable(marked)}; "
            "set another output"
        )
    if not root.parent.is_dir():
        look = command("findmnt", "-T", root)
        raise Unknown(f"{printable(root.parent)} is not there; is its disk mounted? Look: {look}")
    output_folder.mark(name, gallery)
    typer.echo(f"the output {printable(root)} is marked for {printable(name)}")
