"""TIFF: directories of tags (TIFF 6.0, BigTIFF); EXIF is a small TIFF of its own.

Values are kept as the bytes that lie in the file and in its byte order, so that what nobody here
understands survives as it was.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from storage.formats.containers import MOST_PARTS, Budget, Malformed, end, take

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIPS, SAMPLES, ROWS, STRIP_BYTES, PLANAR = 273, 277, 278, 279, 284
PREDICTOR, TILES, TILE_BYTES, EXTRA, SAMPLE_FORMAT, JPEG_TABLES = 317, 324, 325, 338, 339, 347
ORIENTATION, SOFTWARE, MAKE, MODEL, XMP, PHOTOSHOP, ICC = 274, 305, 271, 272, 700, 34377, 34675
EXIF, GPS, INTEROP, SUBFILE = 34665, 34853, 40965, 254
THUMBNAIL, THUMBNAIL_BYTES = 513, 514
TILE_WIDTH, TILE_HEIGHT = 322, 323
MAKER_NOTE, USER_COMMENT, PIXELS_WIDE, PIXELS_HIGH = 37500, 37510, 40962, 40963
STRUCTURE = frozenset(
    {254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284}
    | {288, 289, 290, 291, 292, 293, 317, 320, 322, 323, 324, 325, 330, 332, 338}
    | {339, 340, 341, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532, 559}
)
"""Tags that describe how the pixels are stored; 532 belongs to them."""
CODED = (WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, ROWS, PLANAR, PREDICTOR, 320,
         322, 323, EXTRA, SAMPLE_FORMAT, JPEG_TABLES, 530)  # fmt: skip
"""Tags without which the coded pixels cannot be read."""

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4,
          16: 8, 17: 8, 18: 8}  # fmt: skip
_WHOLE = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
BYTE, ASCII, SHORT, LONG, UNDEFINED = 1, 2, 3, 4, 7
MOST_ENTRIES = 4096
MOST_DIRECTORIES = 1000
VALUE_BYTES = 64 << 20
"""Maximum size in bytes of a value that is read."""


@dataclass(frozen=True)
class Entry:
    """One tag of a directory, with its position."""

    tag: int
    kind: int
    count: int
    position: int
    """Position of the entry, which has 12 bytes (20 in a BigTIFF)."""
    offset: int
    """Position of the value, which may be in the entry."""

    @property
    def length(self) -> int:
        """Length of the value in bytes."""
        return _SIZES.get(self.kind, 1) * self.count


@dataclass(frozen=True)
class Directory:
    """One IFD of a file."""

    position: int
    entries: Mapping[int, Entry]
    following_position: int
    """Position of the offset of the next directory."""
    following: int
    """That offset; 0 for the last."""


class Tiff:
    """The directories of one file, read when needed."""

    def __init__(self, file: BinaryIO):
        """Read the header.

        Raises:
            Malformed: it is no TIFF.

        """
        self.file, self.budget = file, Budget(end(file))
        head = take(file, 0, 8)
        if head[:2] not in (b"II", b"MM"):
            raise Malformed("no TIFF")
        self.order = "<" if head[:2] == b"II" else ">"
        version = self._whole(head[2:4])
        if version not in (42, 43):
            raise Malformed("no TIFF")
        self.big = version == 43
        self.first = self._whole(take(file, 8, 8)) if self.big else self._whole(head[4:8])

    def directory(self, position: int) -> Directory:
        """Read the directory at `position`."""
        width, counted, size = (8, 8, 20) if self.big else (4, 2, 12)
        count = self._whole(take(self.file, position, counted))
        if not 0 < count <= MOST_ENTRIES:
            raise Malformed(f"a directory of {count} entries")
        self.budget.spend(parts=count)
        start = position + counted
        table = take(self.file, start, count * size)
        entries: dict[int, Entry] = {}
        for at in range(0, len(table), size):
            tag, kind = (self._whole(table[at + skip : at + skip + 2]) for skip in (0, 2))
            number = self._whole(table[at + 4 : at + 4 + width])
            entry = Entry(tag, kind, number, start + at, start + at + 4 + width)
            if entry.length > width:
                outside = self._whole(table[at + 4 + width : at + size])
                entry = Entry(tag, kind, number, start + at, outside)
            entries.setdefault(tag, entry)
        stop = start + len(table)
        room = end(self.file) - stop >= width
        following = self._whole(take(self.file, stop, width)) if room else 0
        return Directory(position, entries, stop, following)

    def pages(self) -> Iterator[Directory]:
        """Yield the directories of the main chain."""
        position, seen = self.first, set[int]()
        while position and position not in seen and len(seen) < MOST_DIRECTORIES:
            seen.add(position)
            yield (page := self.directory(position))
            position = page.following

    def bytes_of(self, entry: Entry) -> bytes:
        """Return a value's bytes in the file's order."""
        if entry.length > VALUE_BYTES:
            raise Malformed(f"tag {entry.tag} has {entry.length} bytes")
        return take(self.file, entry.offset, entry.length)

    def numbers(self, directory: Directory, tag: int) -> tuple[int, ...]:
        """Return a tag's integers; none if it is missing or of another kind."""
        entry = directory.entries.get(tag)
        if entry is None or entry.kind not in _WHOLE:
            return ()
        if entry.count > MOST_PARTS:
            raise Malformed(f"tag {tag} has {entry.count} values")
        return struct.unpack(f"{self.order}{entry.count}{_WHOLE[entry.kind]}", self.bytes_of(entry))

    def number(self, directory: Directory, tag: int, default: int = 0) -> int:
        """Return the first integer of a tag."""
        return next(iter(self.numbers(directory, tag)), default)

    def text(self, directory: Directory, tag: int) -> str:
        """Return a tag's text, "" if it is missing."""
        entry = directory.entries.get(tag)
        if entry is None or entry.length > 65536:
            return ""
        return self.bytes_of(entry).split(b"\0", 1)[0].decode("utf-8", "replace").strip()

    def below(self, directory: Directory, tag: int) -> Directory | None:
        """Return the directory that a tag points to (EXIF, GPS), None if it cannot be read."""
        position = self.number(directory, tag)
        try:
            return self.directory(position) if position else None
        except Malformed:
            return None

    def strips(self, directory: Directory) -> list[tuple[int, int]]:
        """Return (offset, length) of each strip or tile."""
        for places, lengths in ((STRIPS, STRIP_BYTES), (TILES, TILE_BYTES)):
            if places in directory.entries:
                starts = self.numbers(directory, places)
                return list(zip(starts, self.numbers(directory, lengths), strict=False))
        return []

    def _whole(self, data: bytes) -> int:
        return int.from_bytes(data, "little" if self.order == "<" else "big")


def set_number(made: bytearray, file: Tiff, position: int, value: int) -> None:
    """Set the entry at a position of a file's bytes to one number, whatever it was."""
    kind = SHORT if value <= 0xFFFF else LONG
    form, width = (f"{file.order}HQ", 8) if file.big else (f"{file.order}HI", 4)
    data = struct.pack(file.order + _WHOLE[kind], value).ljust(width, b"\0")
    made[position + 2 : position + 4 + 2 * width] = struct.pack(form, kind, 1) + data


def set_upright(made: bytearray, file: Tiff, directory: Directory) -> None:
    """Set each orientation to 1, whatever its type and count, also where there are several."""
    for position in _positions(made, file, directory, ORIENTATION):
        set_number(made, file, position, 1)


def blank(made: bytearray, file: Tiff, directory: Directory, tag: int) -> None:
    """Set a tag to one blank in its entry; what lies where its value was stays.

    A damaged tag may name the place of the pixels.
    """
    form, size = (file.order + "HQ8s", 18) if file.big else (file.order + "HI4s", 10)
    for position in _positions(made, file, directory, tag):
        made[position + 2 : position + 2 + size] = struct.pack(form, BYTE, 1, b" ")


def _positions(made: bytearray, file: Tiff, directory: Directory, tag: int) -> Iterator[int]:
    """Yield the positions of all entries of a tag."""
    counted, size = (8, 20) if file.big else (2, 12)
    for position in range(directory.position + counted, directory.following_position, size):
        if struct.unpack_from(file.order + "H", made, position)[0] == tag:
            yield position


@dataclass
class Tree:
    """A directory in memory: maps tags to kind, count and bytes, or to a directory."""

    values: dict[int, tuple[int, int, bytes]] = field(default_factory=dict)
    below: dict[int, "Tree"] = field(default_factory=dict)
    lost: list[int] = field(default_factory=list)
    """Tags that cannot be read, here and below."""


def tree(tiff: Tiff, directory: Directory, depth: int = 0, budget: Budget | None = None) -> Tree:
    """Copy the tags of a directory that are about the photo, not those about its storage.

    What cannot be read is left out and noted, also where values lie at one place and would be larger
    than the file.
    """
    made, budget = Tree(), budget or Budget(end(tiff.file))
    for tag, entry in directory.entries.items():
        if (depth == 0 and tag in STRUCTURE) or entry.kind not in _SIZES:
            continue
        if tag in (EXIF, GPS, INTEROP):
            found = tiff.below(directory, tag) if depth < 2 else None
            if found is None:
                made.lost.append(tag)
            else:
                made.below[tag] = tree(tiff, found, depth + 1, budget)
                made.lost += made.below[tag].lost
            continue
        try:
            budget.spend(entry.length)
            made.values[tag] = (entry.kind, entry.count, tiff.bytes_of(entry))
        except Malformed:
            made.lost.append(tag)
    return made


def serialise(root: Tree, order: str, strips: Sequence[bytes] = (), places: int = STRIPS) -> bytes:
    """Return a file with one directory, its subdirectories, and `strips` at the end.

    The tags `places` and their lengths are made here.

    Raises:
        Malformed: it would be larger than 4 GB.

    """
    if strips:
        lengths = struct.pack(f"{order}{len(strips)}I", *map(len, strips))
        counts = STRIP_BYTES if places == STRIPS else TILE_BYTES
        root.values[counts] = (LONG, len(strips), lengths)
        root.values[places] = (LONG, len(strips), bytes(4 * len(strips)))
    start = 8 + _size(root)
    starts = []
    for strip in strips:
        starts.append(start)
        start += len(strip)
    if start >= 1 << 32:
        raise Malformed("a TIFF cannot be larger than 4 GB")
    if strips:
        root.values[places] = (LONG, len(strips), struct.pack(f"{order}{len(strips)}I", *starts))
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = mark + struct.pack(order + "I", 8)
    return b"".join([head, _directory_bytes(root, order, 8), *strips])


def _even(length: int) -> int:
    return length + length % 2


def _own_size(root: Tree) -> int:
    outside = sum(_even(len(data)) for _, _, data in root.values.values() if len(data) > 4)
    return 6 + 12 * (len(root.values) + len(root.below)) + outside


def _size(root: Tree) -> int:
    return _own_size(root) + sum(_size(below) for below in root.below.values())


def _directory_bytes(root: Tree, order: str, position: int) -> bytes:
    """Return the bytes of a directory at `position`: table, values, subdirectories."""
    table: list[bytes] = [struct.pack(order + "H", len(root.values) + len(root.below))]
    values: list[bytes] = []
    belows: list[bytes] = []
    outside = position + 6 + 12 * (len(root.values) + len(root.below))
    deeper = position + _own_size(root)
    for tag in sorted([*root.values, *root.below]):
        if tag in root.below:
            table.append(struct.pack(order + "HHII", tag, LONG, 1, deeper))
            belows.append(_directory_bytes(root.below[tag], order, deeper))
            deeper += len(belows[-1])
            continue
        kind, count, data = root.values[tag]
        table.append(struct.pack(order + "HHI", tag, kind, count))
        if len(data) <= 4:
            table.append(data.ljust(4, b"\0"))
            continue
        table.append(struct.pack(order + "I", outside))
        values.append(data.ljust(_even(len(data)), b"\0"))
        outside += len(values[-1])
    return b"".join([*table, bytes(4), *values, *belows])
