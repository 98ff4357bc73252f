"""Copy XMP sidecars: files in which library apps keep metadata beside a photo."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from storage import file_attributes, jail, publishing
from storage.beneath import Beneath
from storage.errors import OutputTaken, UnreadablePhoto
from storage.formats.safe_open import opened
from storage.formats.turn import Turn
from storage.metadata import sidecar_names, xmp
from storage.metadata.turned_xmp import turn_packet, unturnable
from storage.text import printable

MOST_BYTES = xmp.MOST_BYTES
"""Maximum size in bytes of a sidecar; the photo of a larger one is left alone."""


def copy_sidecar(source: Path | Beneath, output: Path | Beneath, turn: Turn) -> None:
    """Copy the source's sidecars (photo.jpg.xmp, photo.xmp) beside the output, if there are any.

    They are turned with the photo. What lies there already stays: nothing tells our copy from one
    that its owner changed.

    Raises:
        OSError: the disk or the share does not give or take it.

    """
    seen: set[tuple[int, int]] = set()  # where case does not count, one file has two names
    for theirs, copy in zip(_names(source), _names(output), strict=True):
        if len(os.fsencode(copy.name)) <= publishing.LONGEST_NAME_BYTES:
            with suppress(UnreadablePhoto, OutputTaken, FileNotFoundError):
                _copy(theirs, copy, turn, seen)


def are_copied(source: Path | Beneath, output: Path | Beneath) -> bool:
    """Return whether each sidecar of a photo has a copy, or a file of the owner in its place."""
    return not any(
        theirs.is_file() and not copy.exists()
        for theirs, copy in zip(_names(source), _names(output), strict=True)
    )


def beside(source: Path | Beneath) -> Mapping[str, bytes]:
    """Return the content of a photo's sidecars by name, of a too long one only its start.

    Raises:
        OSError: the disk or the share does not give it.

    """
    found = {}
    for theirs in _names(source):
        with suppress(UnreadablePhoto, FileNotFoundError), opened(theirs) as file:
            found[theirs.name] = file.read(MOST_BYTES + 1)
    return found


def faults(sidecars: Mapping[str, bytes], *, turned: bool) -> Iterator[str]:
    """Yield why a sidecar of a photo, which is `turned` or not, cannot lie beside its copy."""
    for name, data in sidecars.items():
        if (wrong := xmp.fault(data)) is not None:
            yield f"its sidecar {printable(name)} cannot be read: {wrong}"
        elif turned and (kept := unturnable(xmp.parse_or_empty(data))) is not None:
            yield f"its sidecar {printable(name)} carries {kept}"


def _names(photo: Path | Beneath) -> list[Beneath]:
    return list(sidecar_names.of(photo).values())


def hashes(source: Path | Beneath, turn: Turn) -> dict[str, str]:
    """Return the SHA-256 of the copies that a photo's sidecars have, by the forms of their names.

    Raises:
        OSError: the disk or the share does not give them.

    """
    found = {}
    for form, theirs in sidecar_names.of(source).items():
        with suppress(UnreadablePhoto, FileNotFoundError), opened(theirs) as file:
            data = file.read(MOST_BYTES + 1)
            turned = jail.run(turned_content, data, turn) if len(data) <= MOST_BYTES else None
            if turned is not None:
                found[form] = hashlib.sha256(turned).hexdigest()
    return found


def _copy(theirs: Beneath, copy: Beneath, turn: Turn, seen: set[tuple[int, int]]) -> None:
    with opened(theirs) as file:
        status = os.fstat(file.fileno())
        identity = (status.st_dev, status.st_ino)
        if status.st_size > MOST_BYTES or identity in seen or copy.exists():
            return
        seen.add(identity)
        turned = jail.run(turned_content, file.read(status.st_size), turn)
    if turned is None:
        return
    with publishing.draft(copy, 0, 0) as draft:  # no job has this number: swept if we die here
        draft.file.write(turned)
        file_attributes.keep(theirs, draft.file)
        publishing.publish(draft, None)


def turned_content(data: bytes, turn: Turn) -> bytes | None:
    """Return a sidecar for the copy; None if it was damaged since the photo was inspected."""
    if turn.orientation == 1 and turn.size == turn.source:
        return data
    try:
        packet = xmp.parse(data)
    except xmp.MalformedPacket:
        return None
    turn_packet(packet, turn)
    return packet.serialise()
