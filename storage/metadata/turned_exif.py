"""Turn an EXIF block with the pixels: orientation, sizes, resolutions and the subject's place.

Entries are changed where they are, so that maker notes keep their offsets.
"""

import io
import struct

from storage.formats.containers import Malformed, tiff
from storage.formats.containers.tiff import Directory, Entry, Tiff
from storage.formats.turn import TRANSPOSED, Turn
from storage.metadata import photoshop

_SIDES = {tiff.WIDTH: 0, tiff.HEIGHT: 1, tiff.PIXELS_WIDE: 0, tiff.PIXELS_HIGH: 1, 4097: 0, 4098: 1}
"""Tags of widths (0) and heights (1); the last two are those of the interoperability directory."""
_RESOLUTIONS = ((282, 283), (41486, 41487))
"""Tags of horizontal and vertical resolution: of the image, and of the focal plane."""
_SUBJECTS = (37396, 41492)
"""SubjectArea and SubjectLocation."""


def turned(block: bytes, turn: Turn) -> bytes:
    """Return an EXIF block for the upright copy; one that cannot be read stays as it is."""
    try:
        file = Tiff(io.BytesIO(block))
        first = file.directory(file.first)
    except Malformed:
        return block
    made = bytearray(block)
    exif = file.below(first, tiff.EXIF)
    below = file.below(exif, tiff.INTEROP) if exif is not None else None
    for directory in filter(None, (first, exif, below)):
        _turn(made, file, directory, turn)
    if (entry := first.entries.get(tiff.PHOTOSHOP)) is not None:
        _turn_photoshop(made, file, entry, turn)
    return bytes(made)


def _turn(made: bytearray, file: Tiff, directory: Directory, turn: Turn) -> None:
    for entry in directory.entries.values():
        if entry.tag in _SIDES and entry.count == 1 and entry.kind in (tiff.SHORT, tiff.LONG):
            tiff.set_number(made, file, entry.position, turn.size[_SIDES[entry.tag]])
        elif entry.tag in _SUBJECTS:
            _turn_subject(made, file, directory, entry, turn)
    if turn.orientation in TRANSPOSED:
        _exchange_resolutions(made, file.order, directory)
    tiff.set_upright(made, file, directory)


def _turn_subject(
    made: bytearray, file: Tiff, directory: Directory, entry: Entry, turn: Turn
) -> None:
    letter = {tiff.SHORT: "H", tiff.LONG: "I"}.get(entry.kind)
    try:
        values = file.numbers(directory, entry.tag)
    except Malformed:
        return
    if letter is not None:
        most = 0xFFFF if letter == "H" else 0xFFFFFFFF
        now = [min(value, most) for value in turn.subject(values)]
        struct.pack_into(f"{file.order}{len(now)}{letter}", made, entry.offset, *now)


def _exchange_resolutions(made: bytearray, order: str, directory: Directory) -> None:
    """Exchange horizontal and vertical resolutions; a lone one gets the other's tag."""
    for tags in _RESOLUTIONS:
        found = [directory.entries[tag] for tag in tags if tag in directory.entries]
        if len(found) == 2:
            one, other = (slice(entry.position + 2, entry.position + 12) for entry in found)
            made[one], made[other] = made[other], made[one]
        if len(found) == 1:
            tag = tags[found[0].tag == tags[0]]
            struct.pack_into(order + "H", made, found[0].position, tag)


def _turn_photoshop(made: bytearray, file: Tiff, entry: Entry, turn: Turn) -> None:
    try:
        data = file.bytes_of(entry)
    except Malformed:
        return
    made[entry.offset : entry.offset + len(data)] = photoshop.turned(data, turn)
