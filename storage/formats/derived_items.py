"""How many pixels a HEIC or AVIF makes a decoder compute, whatever size its photo has in the end.

A photo may be derived of others (ISO 23008-12, 6.6): a grid of tiles, an overlay, or another one as it
is. Each of them is decoded before anything is cropped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from storage.formats.containers import Malformed
from storage.formats.containers.isobmff import Container, Item

_GRID, _OVERLAY, _IDENTITY = "grid", "iovl", "iden"
_DERIVED = (_GRID, _OVERLAY, _IDENTITY)
_MOST_DEPTH = 8
_COLOURS, _SIZED = 4, 2
"""Colours of an overlay's canvas, and the bytes of each; then its size."""


def coded_pixels(file: BinaryIO, found: Container) -> int:
    """Return the pixels of the primary item and of all that it is made of.

    Raises:
        Malformed: a derived item has no size, or is made of itself.

    """
    parts: dict[int, list[int]] = {}
    for kind, source, targets in found.references:
        if kind == "dimg":
            parts.setdefault(source, []).extend(targets)
    return _Count(file, found, parts).pixels(found.primary, 0)


@dataclass
class _Count:
    file: BinaryIO
    found: Container
    parts: Mapping[int, Sequence[int]]
    """The items that each derived item is made of."""
    known: dict[int, int] = field(default_factory=dict)

    def pixels(self, number: int, depth: int) -> int:
        """Return the pixels of an item and of its parts, whichever are more."""
        if depth > _MOST_DEPTH:
            raise Malformed(f"item {number} is derived too often")
        if number not in self.known and (item := self.found.items.get(number)) is not None:
            made = 0
            if item.kind in _DERIVED:
                made = sum(self.pixels(part, depth + 1) for part in self.parts.get(number, ()))
                made = max(made, _canvas(self.file, self.found, item))
            self.known[number] = max(made, self._stated(item))
        return self.known.get(number, 0)

    def _stated(self, item: Item) -> int:
        sizes = (self.found.properties[at] for at in item.properties)
        areas = (_whole(data[4:8]) * _whole(data[8:12]) for kind, data in sizes if kind == "ispe")
        return max(areas, default=0)


def _canvas(file: BinaryIO, found: Container, item: Item) -> int:
    """Return the pixels of the canvas on which a derived item is put together."""
    if item.kind == _IDENTITY:
        return 0
    data = found.data(file, item)
    if len(data) < 4:
        raise Malformed(f"the {item.kind} of item {item.number} breaks off")
    start = 4 if item.kind == _GRID else 2 + _COLOURS * _SIZED
    wide = 4 if data[1] & 1 else 2
    if len(data) < start + 2 * wide:
        raise Malformed(f"the {item.kind} of item {item.number} breaks off")
    return _whole(data[start : start + wide]) * _whole(data[start + wide : start + 2 * wide])


def _whole(data: bytes) -> int:
    return int.from_bytes(data, "big")
