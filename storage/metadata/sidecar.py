"""Copy XMP sidecars: files in which library apps keep metadata beside a photo."""

import os
from contextlib import suppress
from pathlib import Path

from storage import atomic_files, file_attributes, publishing
from storage.errors import UnreadablePhoto
from storage.formats.safe_open import opened
from storage.formats.turn import Turn
from storage.metadata import xmp
from storage.metadata.turned_xmp import turn_packet

MOST_BYTES = 16 << 20
"""Maximum size in bytes of a sidecar that is copied."""
SUFFIXES = (".xmp", ".XMP")


def copy_sidecar(source: Path, output: Path, turn: Turn) -> None:
    """Copy the source's sidecars (photo.jpg.xmp, photo.xmp) beside the output, if there are any.

    They are turned with the photo. What lies there already stays: nothing tells our copy from one
    that its owner changed.

    Raises:
        OSError: the disk or the share does not give or take it.

    """
    seen: set[tuple[int, int]] = set()  # where case does not count, one file has two names
    for suffix in SUFFIXES:
        for theirs, copy in (
            (source.with_name(source.name + suffix), output.with_name(output.name + suffix)),
            (source.with_suffix(suffix), output.with_suffix(suffix)),
        ):
            if len(os.fsencode(copy.name)) <= publishing.LONGEST_NAME_BYTES:
                with suppress(UnreadablePhoto, FileNotFoundError):
                    _copy(theirs, copy, turn, seen)


def _copy(theirs: Path, copy: Path, turn: Turn, seen: set[tuple[int, int]]) -> None:
    with opened(theirs) as file:
        status = os.fstat(file.fileno())
        identity = (status.st_dev, status.st_ino)
        if status.st_size > MOST_BYTES or identity in seen or os.path.lexists(copy):
            return
        seen.add(identity)
        temporary = publishing.temporary(copy, 0, 0)  # no job has this number: swept if we die here
        temporary.write_bytes(_turned(file.read(), turn))
    file_attributes.keep(theirs, temporary)
    atomic_files.sync(temporary)
    publishing.publish(temporary, copy)


def _turned(data: bytes, turn: Turn) -> bytes:
    """Return a sidecar for the turned photo; one that is no XMP stays as it is."""
    if turn.orientation == 1 and turn.size == turn.source:
        return data
    try:
        packet = xmp.parse(data)
    except xmp.MalformedPacket:
        return data
    turn_packet(packet, turn)
    return packet.serialise()
