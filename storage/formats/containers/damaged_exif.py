"""Repair an EXIF block in place: what can be read stays, at its offset; what cannot is taken out.

A directory may be cut, state too many entries, or have entries that point out of the block.
"""

import struct
from dataclasses import dataclass, field

from storage.formats.containers import Budget, Malformed, exif, tiff

_NAMES = {tiff.EXIF: "ExifIFD", tiff.GPS: "GPS", tiff.INTEROP: "InteropIFD"}
_ENTRY = 12
_MOST_DEPTH = 3
"""Depth of directories: IFD0, the camera's, and that of Interop."""


def repaired(block: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Return a block that can be read, and what was taken out, in a few words each."""
    bare = exif.bare(block)
    if not bare:
        return b"", ("an EXIF block without a header",) if block else ()
    made = _Repair(bytearray(bare), "<" if bare[:2] == b"II" else ">")
    try:
        if not made.directory(made.whole(4, 4), "IFD0"):
            return b"", ("an EXIF block without a directory",)
    except Malformed:
        return b"", ("an EXIF block of too many entries",)
    return bytes(made.data), tuple(made.lost)


@dataclass
class _Repair:
    data: bytearray
    order: str
    lost: list[str] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)
    budget: Budget = field(default_factory=lambda: Budget(0))

    def whole(self, offset: int, length: int) -> int:
        part = self.data[offset : offset + length]
        return int.from_bytes(part, "little" if self.order == "<" else "big")

    def directory(self, position: int, title: str, depth: int = 1) -> bool:
        """Repair a directory and those that it points to; return whether there is one."""
        start, count = position + 2, self.whole(position, 2)
        if not 8 <= position <= len(self.data) - 2 - _ENTRY or not count or depth > _MOST_DEPTH:
            return False
        if position in self.seen:
            return True
        self.seen.add(position)
        fitting = min((len(self.data) - start) // _ENTRY, tiff.MOST_ENTRIES)
        self.budget.spend(parts=min(count, fitting))
        places = [start + _ENTRY * number for number in range(min(count, fitting))]
        if miscounted := count > fitting:
            wrong = (number for number, at in enumerate(places) if not self._is_entry(at))
            places = places[: next(wrong, len(places))]
            self.lost.append(f"{count - len(places)} entries of {title}, which are not there")
        kept = [at for at in places if self._is_readable(at, title, depth)]
        if miscounted or len(kept) < count:
            self._write(position, kept, start + _ENTRY * len(places))
        return bool(kept)

    def _is_entry(self, at: int) -> bool:
        """Return whether the bytes at a place can be an entry: its tag and its kind exist."""
        return bool(self.whole(at, 2)) and 1 <= self.whole(at + 2, 2) <= 13

    def _is_readable(self, at: int, title: str, depth: int) -> bool:
        """Return whether an entry's value or directory is in the block; note it if not."""
        tag, kind, count, offset = struct.unpack_from(f"{self.order}HHII", self.data, at)
        length = tiff.Entry(tag, kind, count, at, 0).length
        readable = length <= 4 or offset + length <= len(self.data)
        if readable and tag in _NAMES:
            readable = self.directory(offset, _NAMES[tag], depth + 1)
        if not readable:
            self.lost.append(_NAMES.get(tag) or f"{title} 0x{tag:04X}")
        return readable

    def _write(self, position: int, kept: list[int], stop: int) -> None:
        """Write a directory of the entries at `kept`, whose table ended at `stop`."""
        following = self.whole(stop, 4) if stop + 4 <= len(self.data) else 0
        if not 8 <= following < len(self.data):
            following = 0
        table = b"".join(self.data[at : at + _ENTRY] for at in kept)
        head = struct.pack(self.order + "H", len(kept))
        made = head + table + struct.pack(self.order + "I", following)
        freed = max(0, stop + 4 - position - len(made))
        self.data[position : position + len(made) + freed] = made + bytes(freed)
