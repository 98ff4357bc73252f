"""EXIF: read facts, and remove entries in place, so that all other values keep their offsets.

Maker notes point to their data by offsets that only the camera's maker knows; a block that is
taken apart and put together again loses them.
"""

import io
import struct
from dataclasses import dataclass

from storage.formats.containers import Malformed, tiff
from storage.formats.containers.tiff import Directory, Entry, Tiff

PREFIX = b"Exif\0\0"
EMPTY = b"MM\0*\0\0\0\x08" + b"\0\x01\x01\x12\0\x03\0\0\0\x01\0\x01\0\0" + bytes(4)
"""A minimal EXIF block: an upright orientation."""
MOST_TEXT = 65536
"""Bytes of the longest text that is read."""
APPLE = b"Apple iOS\0"
_APPLE_HEADER = 14
CONTENT_IDENTIFIER, LIVE_VIDEO_INDEX = 17, 23
"""Tags of Apple's maker note that link a Live photo to its film."""
_FORMS = {1: "B", 3: "H", 4: "I", 5: "II", 6: "b", 8: "h", 9: "i", 10: "ii", 11: "f", 12: "d"}
"""Forms of one number of each type, as `struct` writes them."""
_DIGITS = tuple(str(digit).encode() for digit in range(1, 9))


@dataclass(frozen=True)
class Facts:
    """The EXIF facts that decide how a photo is treated, and its camera."""

    orientation: int = 1
    make: str = ""
    model: str = ""
    software: str = ""
    comment: str = ""
    """UserComment; iOS writes "Screenshot" there."""
    content_identifier: bool = False
    """Whether it is a Live photo, which belongs to a film."""


def bare(block: bytes) -> bytes:
    """Return the TIFF in an EXIF block; b"" if it is none."""
    block = block.removeprefix(PREFIX)
    return block if block[:4] in (b"II*\0", b"MM\0*") else b""


def facts(block: bytes) -> Facts:
    """Read the facts of an EXIF block; a broken one has none."""
    try:
        file = Tiff(io.BytesIO(block))
        return facts_of(file, file.directory(file.first))
    except Malformed:
        return Facts()


def has_orientation(block: bytes) -> bool:
    """Return whether an EXIF block states an orientation at all."""
    try:
        file = Tiff(io.BytesIO(block))
        return tiff.ORIENTATION in file.directory(file.first).entries
    except Malformed:
        return False


def _orientation(file: Tiff, directory: Directory) -> int:
    """Return the orientation, 1 to 8, whatever type and count it has; 1 if it cannot be read."""
    entry = _readable(file, directory, tiff.ORIENTATION, MOST_TEXT)
    if entry is None:
        return 1
    data = file.bytes_of(entry)
    if entry.kind == tiff.ASCII:
        stated: float = int(text) if (text := data.strip(b" \0")) in _DIGITS else 1
    elif entry.kind in _FORMS and len(data) >= struct.calcsize(_FORMS[entry.kind]):
        number, *parts = struct.unpack_from(file.order + _FORMS[entry.kind], data)
        stated = number / (parts[0] or 1) if parts else number
    else:
        stated = int.from_bytes(data[:4], "little" if file.order == "<" else "big")
    return int(stated) if stated in range(1, 9) else 1


def facts_of(file: Tiff, first: Directory) -> Facts:
    """Read the facts of a TIFF's first directory."""
    exif = file.below(first, tiff.EXIF)
    comment, identified = "", False
    if exif is not None:
        if entry := _readable(file, exif, tiff.USER_COMMENT, MOST_TEXT):
            comment = file.bytes_of(entry)[8:].replace(b"\0", b"").decode("utf-8", "replace")
        identified = bool(_apple_entries(file, exif))
    make, model, software = (
        _text(file, first, tag) for tag in (tiff.MAKE, tiff.MODEL, tiff.SOFTWARE)
    )
    return Facts(_orientation(file, first), make, model, software, comment, identified)


def clean(block: bytes) -> bytes:
    """Return an EXIF block without thumbnail and film.

    A block whose first directory cannot be read is dropped.
    """
    try:
        file = Tiff(io.BytesIO(block))
        first = file.directory(file.first)
    except Malformed:
        return b""
    made = bytearray(block)
    if (exif := file.below(first, tiff.EXIF)) is not None:
        _unlink_film(made, file, exif)
    _drop_thumbnail(made, file, first)
    return bytes(made)


def _text(file: Tiff, directory: Directory, tag: int) -> str:
    return file.text(directory, tag) if _readable(file, directory, tag, MOST_TEXT) else ""


def _readable(file: Tiff, directory: Directory, tag: int, most: int) -> Entry | None:
    entry = directory.entries.get(tag)
    if entry is None or entry.length > most:
        return None
    try:
        file.bytes_of(entry)
    except Malformed:
        return None
    return entry


def _apple_entries(file: Tiff, exif: Directory) -> list[int]:
    """Return the offsets of the entries of Apple's maker note that link the photo to a film."""
    entry = _readable(file, exif, tiff.MAKER_NOTE, 1 << 20)
    note = file.bytes_of(entry) if entry is not None else b""
    if entry is None or not note.startswith(APPLE) or len(note) < _APPLE_HEADER + 2:
        return []
    start = entry.offset + _APPLE_HEADER
    count = int.from_bytes(note[_APPLE_HEADER : _APPLE_HEADER + 2], "big")
    table = note[_APPLE_HEADER + 2 : _APPLE_HEADER + 2 + 12 * count]
    return [
        start + 2 + at
        for at in range(0, len(table) - 11, 12)
        if int.from_bytes(table[at : at + 2], "big") in (CONTENT_IDENTIFIER, LIVE_VIDEO_INDEX)
    ]


def _unlink_film(made: bytearray, file: Tiff, exif: Directory) -> None:
    """Remove entries from Apple's table; later entries move up, values stay."""
    places = _apple_entries(file, exif)
    if not places:
        return
    note = exif.entries[tiff.MAKER_NOTE]
    start = note.offset + _APPLE_HEADER
    count = int.from_bytes(made[start : start + 2], "big")
    for place in places:
        kind, number = struct.unpack_from(">HI", made, place + 2)
        value, length = struct.unpack_from(">I", made, place + 8)[0], number
        if kind in (2, 7) and length > 4 and value + length <= note.length:
            made[note.offset + value : note.offset + value + length] = bytes(length)
    stop = start + 2 + 12 * count
    unlinked = set(places)
    kept = [made[at : at + 12] for at in range(start + 2, stop, 12) if at not in unlinked]
    table = b"".join([*kept, made[stop : stop + 4]])  # with the offset after it
    made[start + 2 : stop + 4] = table.ljust(12 * count + 4, b"\0")
    made[start : start + 2] = len(kept).to_bytes(2, "big")


def _drop_thumbnail(made: bytearray, file: Tiff, first: Directory) -> None:
    """Remove the second directory and erase its thumbnail."""
    if not first.following:
        return
    width = 4
    made[first.following_position : first.following_position + width] = bytes(width)
    try:
        second = file.directory(first.following)
        start = file.number(second, tiff.THUMBNAIL)
        length = file.number(second, tiff.THUMBNAIL_BYTES)
    except Malformed:
        return
    if not 0 < start <= start + length <= len(made):
        return
    made[start : start + length] = bytes(length)
    if start + length == len(made):
        del made[start:]
