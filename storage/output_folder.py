"""The output folder of a gallery: whether it is the right one, and takes a result of this name.

This is asked before anything is computed. What is wrong with the folder stops the gallery, what is
wrong with a name ends the job.
"""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage import atomic_files, file_attributes, publishing
from storage.beneath import Beneath
from storage.errors import GalleryOffline, NameRefused, OutputFull, OutputReadOnly, OutputTaken
from storage.publishing import MARKER
from storage.settings_gallery import BESIDE, GallerySettings
from storage.text import command, printable

IMMICH_MARKER = ".immich"
"""The file that immich writes into each of its own folders (its documentation, "System integrity")."""
MARKER_BYTES = 65536
"""Most bytes that are read of a marker."""
REFUSED_NAMES = (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ)
"""Errors of filesystems for names that are too long or have letters that they do not allow."""


def why_not_ours(name: str, gallery: GallerySettings, *, used: bool) -> str | None:
    """Return why the output root is not that of the gallery `name`, and what to do; None if it is.

    `used` says that results of the gallery were published before. Without it, a root without a
    marker is taken for a new one.

    Raises:
        OSError: the disk or the share does not give the marker.

    """
    root = gallery.output_root
    if own := _immich_folder(root):
        return (
            f"the output folder {root} lies in {own}, which belongs to immich ({IMMICH_MARKER} is there); "
            "immich must not find files there that it did not put there. Set another output, and add "
            "that to immich as an external library"
        )
    if gallery.name in BESIDE:
        return None
    accept = f"`{command('photomend', 'accept', of=name)}`"
    match marked_for(root):
        case None if used:
            return (
                f"the output folder {root} is not the one that has this gallery's results "
                f"({MARKER} is missing); is its disk or share mounted? Look: "
                f"{command('findmnt', '-T', root)}. If it was moved, emptied or replaced on "
                f"purpose: {accept}"
            )
        case None:
            return None
        case "":
            return f"{root / MARKER} cannot be understood; {accept} writes a new one"
        case other if other != name:
            return (
                f"the output folder {root} belongs to the gallery {other!r}; set another output, "
                f"or if that gallery has been renamed: {accept}"
            )
    return None


def _immich_folder(root: Path) -> Path | None:
    """Return the folder of immich's own that an output is, or lies in; None if it lies in none."""
    return next((each for each in (root, *root.parents) if (each / IMMICH_MARKER).is_file()), None)


def marked_for(root: Path) -> str | None:
    """Return the gallery that the marker of an output root names; "" if none, None without a marker.

    Raises:
        OSError: the disk or the share does not give it.

    """
    try:
        with _marker(root).open() as file:
            return str(json.loads(file.read(MARKER_BYTES))["gallery"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


def mark(name: str, gallery: GallerySettings) -> None:
    """Make the output root of a gallery, and write its marker.

    Raises:
        OSError: the disk is full, read-only or away.

    """
    root = gallery.output_root
    file_attributes.make_root(gallery.path, root)
    atomic_files.write(_marker(root), json.dumps({"gallery": name}).encode())


def prepare(name: str, gallery: GallerySettings, *, used: bool) -> None:
    """Check that the output root is the right one; make it and write its marker if it is new.

    Raises:
        GalleryOffline: it is another one, or is away.
        OutputFull, OutputReadOnly: it cannot be written to.

    """
    root = gallery.output_root
    with _sentences(root):
        if reason := why_not_ours(name, gallery, used=used):
            raise GalleryOffline(reason)
        if gallery.name not in BESIDE and not _marker(root).exists():
            mark(name, gallery)


def make_place(gallery: GallerySettings, output: Beneath) -> None:
    """Make the folder of a result, with the permissions of the gallery's, and try its name there.

    Raises:
        NameRefused: the file system cannot hold a file or a folder of this name.
        OutputTaken: a folder or a link has its name, or a file or a link that of its folder.
        GalleryOffline, OutputFull, OutputReadOnly: no file can be written there.

    """
    root, below = output.root, output.parent.relative
    with writing(output):
        try:
            file_attributes.make_folder(Beneath(gallery.path, below), Beneath(root, below))
            with publishing.trial(output) as trial:
                trial.file.write(b"photomend")
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            raise OutputTaken(
                f"in {root} a file or a symbolic link has the name of the folder {below}, or of one "
                "that it is in"
            ) from error
        if output.exists() and not output.is_file():
            raise OutputTaken(
                f"in {root} a folder, a symbolic link or the like has the name {output.relative}"
            )


def is_marked(root: Path) -> bool:
    """Return whether an output root has a marker."""
    return _marker(root).exists()


def _marker(root: Path) -> Beneath:
    return Beneath(root, Path(MARKER))


def require_room(folder: Path, needed_bytes: int, least_bytes: int) -> None:
    """Check that `least_bytes` would stay free in a folder.

    Raises:
        OutputFull: they would not.

    """
    room = os.statvfs(folder)
    if room.f_bavail * room.f_frsize < needed_bytes + least_bytes:
        raise OutputFull(
            f"less than min_free_megabytes = {least_bytes / 1e6:.0f} would be free in {folder}; "
            f"make room, look: {command('df', '-h', folder)}"
        )


@contextmanager
def writing(output: Beneath) -> Iterator[None]:
    """Turn what stops the writing of `output` into errors with a sentence.

    Raises:
        NameRefused: the file system cannot hold a file of this name.
        GalleryOffline, OutputFull, OutputReadOnly: no file can be written there.

    """
    try:
        with _sentences(output.root):
            yield
    except OSError as error:
        if error.errno not in REFUSED_NAMES:
            raise
        name = printable(output.relative)
        raise NameRefused(
            f"the output folder cannot hold a file named {name} ({error.strerror})"
        ) from error


@contextmanager
def _sentences(root: Path) -> Iterator[None]:
    """Turn errors of the disk or the share into sentences; those about names pass."""
    try:
        yield
    except OSError as error:
        match error.errno:
            case errno.ENOSPC | errno.EDQUOT:
                look = command("df", "-h", root)
                raise OutputFull(
                    f"the output folder {root} is full, or over its quota; make room, look: {look}"
                ) from error
            case errno.EROFS:
                look = command("findmnt", "-T", root)
                raise OutputReadOnly(
                    f"the output folder {root} is on a read-only file system; look: {look}"
                ) from error
            case errno.EACCES | errno.EPERM:
                look = command("ls", "-ld", root)
                raise OutputReadOnly(
                    f"this user may not write to the output folder {root}; look: {look}"
                ) from error
            case number if number in (None, errno.ENOENT, *REFUSED_NAMES):
                raise
            case errno.ENOTDIR | errno.EEXIST | errno.EISDIR | errno.ELOOP | errno.ENXIO:
                look = command("ls", "-ld", root, root / MARKER)
                raise GalleryOffline(
                    f"the output folder {root} is not a folder, or its {MARKER} is not a file; "
                    f"look: {look}"
                ) from error
            case _:
                look = command("findmnt", "-T", root)
                raise GalleryOffline(
                    f"the output folder {root} cannot be used ({error.strerror}); look: {look}"
                ) from error
