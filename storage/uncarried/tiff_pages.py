"""Pages, masks, layers and maker notes of a TIFF."""

from collections.abc import Iterator
from typing import BinaryIO

from storage.formats.containers import Malformed, tiff
from storage.formats.containers.tiff import Directory, Tiff
from storage.uncarried import words

_SUB_DIRECTORIES, _LAYERS = 330, 37724
_REDUCED, _MASK = 1, 4
"""Bits of NewSubfileType: a preview, a mask."""
_MOST_DIRECTORIES = 64
_MOVABLE_NOTES = (b"Apple iOS\0", b"Nikon\0\2", b"OLYMPUS\0II", b"OLYMPUS\0MM", b"OM SYSTEM\0",
                  b"FUJIFILM", b"GENERALE", b"LEICA CAMERA AG\0", b"Google\0")  # fmt: skip
"""Maker notes whose offsets count from their own beginning, so that they may be moved."""


def reasons(file: BinaryIO) -> Iterator[str]:
    """Yield what a TIFF has that a copy would lack."""
    found = Tiff(file)
    pages = list(found.pages())
    whole = [not found.number(page, tiff.SUBFILE) & (_REDUCED | _MASK) for page in pages]
    if any(whole[1:]):
        yield "a TIFF with several pages"
    for page in pages[1:]:
        if not _is_preview(found, page):
            yield "it carries a mask, which would be lost"
    first = pages[0]
    for position in found.numbers(first, _SUB_DIRECTORIES)[:_MOST_DIRECTORIES]:
        try:
            preview = _is_preview(found, found.directory(position))
        except Malformed:
            preview = False
        if not preview:
            yield words.part("a further image")
    if _LAYERS in first.entries:
        yield words.LAYERS
    if not _is_movable(found, first):
        yield "its maker note would be damaged in a copy"


def _is_preview(file: Tiff, page: Directory) -> bool:
    return file.number(page, tiff.SUBFILE) & (_REDUCED | _MASK) == _REDUCED


def _is_movable(file: Tiff, first: Directory) -> bool:
    """Return whether the maker note, if there is one, stays valid at another offset."""
    below = file.below(first, tiff.EXIF)
    entry = below.entries.get(tiff.MAKER_NOTE) if below is not None else None
    if entry is None or entry.length <= 4:
        return True
    try:
        return file.bytes_of(entry).startswith(_MOVABLE_NOTES)
    except Malformed:
        return True
