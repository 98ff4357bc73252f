"""HEIC and AVIF: items in an ISO base media file (ISO 14496-12, 23008-12).

Read are the boxes that say which items there are and where they lie. Metadata is exchanged by
appending it and turning the items' addresses to it, so that the coded image stays untouched.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from storage.formats.containers import Budget, Malformed, end, take

META_BYTES = 16 << 20
EXIF, XMP = "Exif", "mime"


@dataclass(frozen=True)
class Box:
    """One box; its content begins at `body`."""

    kind: bytes
    start: int
    body: int
    length: int
    """Length of the content."""

    @property
    def stop(self) -> int:
        """Offset of the next box."""
        return self.body + self.length


@dataclass
class Item:
    """One item of the meta box."""

    number: int
    kind: str
    hidden: bool = False
    content: str = ""
    """Media type of a mime item."""
    construction: int = 0
    """0: extents in the file, 1: in the idat box, 2: in another item."""
    extents: list[tuple[int, int]] = field(default_factory=list)
    """(offset, length)."""
    addresses: list[tuple[int, int, int, int]] = field(default_factory=list)
    """Positions in the file of each extent's offset and length, with their numbers of bytes."""
    base: int = 0
    properties: list[int] = field(default_factory=list)
    """Indices into `Container.properties`."""


@dataclass
class Container:
    """The contents of a file's boxes."""

    brands: frozenset[bytes] = frozenset()
    boxes: tuple[bytes, ...] = ()
    """Kinds of the top-level boxes."""
    primary: int = 0
    items: dict[int, Item] = field(default_factory=dict)
    references: list[tuple[str, int, tuple[int, ...]]] = field(default_factory=list)
    """(kind, from, to): thmb, auxl, dimg, cdsc."""
    properties: list[tuple[str, bytes]] = field(default_factory=list)
    idat: int = 0
    """Position of the idat box's content."""
    budget: Budget = field(default_factory=lambda: Budget(0))
    """What is left for reading the file: boxes, items, extents, references, associations."""

    def of_primary(self, kind: str) -> list[bytes]:
        """Return the primary item's properties of one kind."""
        item = self.items.get(self.primary)
        found = [self.properties[index] for index in item.properties] if item else []
        return [data for name, data in found if name == kind]

    def auxiliaries(self) -> list[str]:
        """Return the names of auxiliary images: alpha, depth, a gain map, mattes."""
        return [
            data[4:].split(b"\0", 1)[0].decode("ascii", "replace")
            for name, data in self.properties
            if name == "auxC"
        ]

    def find(self, kind: str, content: str = "") -> Item | None:
        """Return the first item of a kind (and media type)."""
        found = (item for item in self.items.values() if item.kind == kind)
        return next((item for item in found if not content or item.content == content), None)

    def data(self, file: BinaryIO, item: Item) -> bytes:
        """Return an item's bytes.

        Raises:
            Malformed: it is larger than the file or than metadata may be.

        """
        places = list(self.places(item))
        length = sum(length for _, length in places)
        if length > min(META_BYTES, end(file)):
            raise Malformed(f"item {item.number} has {length} bytes")
        return b"".join(take(file, *place) for place in places)

    def places(self, item: Item) -> Iterator[tuple[int, int]]:
        """Yield (offset in the file, length) of an item's extents."""
        if item.construction not in (0, 1):
            raise Malformed(f"item {item.number} lies in another")
        for offset, length in item.extents:
            yield (offset + (self.idat if item.construction == 1 else 0), length)


def boxes(file: BinaryIO, start: int, stop: int, budget: Budget) -> Iterator[Box]:
    """Yield the boxes in a range of the file.

    Raises:
        Malformed: one reaches beyond the range, as in a file that breaks off.

    """
    at = start
    while at + 8 <= stop:
        budget.spend()
        head = take(file, at, 8)
        size, body = int.from_bytes(head[:4], "big"), at + 8
        if size == 1:
            size, body = int.from_bytes(take(file, at + 8, 8), "big"), at + 16
        elif size == 0:
            size = stop - at
        if size < body - at or at + size > stop:
            raise Malformed(f"the box {head[4:]!r} breaks off")
        yield Box(head[4:], at, body, at + size - body)
        at += size


def read(file: BinaryIO) -> Container:
    """Read the boxes of a file.

    Raises:
        Malformed: they contradict themselves, or the file breaks off.

    """
    made = Container(budget=Budget(end(file)))
    top = list(boxes(file, 0, end(file), made.budget))
    made.boxes = tuple(box.kind for box in top)
    for box in top:
        if box.kind == b"ftyp":
            data = take(file, box.body, min(box.length, 4096))
            found = (data[at : at + 4] for at in (0, *range(8, len(data), 4)))
            made.brands = frozenset(found)
        elif box.kind == b"meta":
            if box.length > META_BYTES:
                raise Malformed(f"a meta box of {box.length} bytes")
            _read_meta(file, box, made)
    return made


def _read_meta(file: BinaryIO, meta: Box, made: Container) -> None:
    found = {box.kind: box for box in boxes(file, meta.body + 4, meta.stop, made.budget)}
    if box := found.get(b"idat"):
        made.idat = box.body
    if box := found.get(b"pitm"):
        data = take(file, box.body, box.length)
        made.primary = int.from_bytes(data[4 : 6 if data[0] == 0 else 8], "big")
    if box := found.get(b"iinf"):
        _read_items(file, box, made)
    if box := found.get(b"iloc"):
        _read_places(file, box, made)
    if box := found.get(b"iref"):
        _read_references(file, box, made)
    if box := found.get(b"iprp"):
        _read_properties(file, box, made)


def _read_items(file: BinaryIO, box: Box, made: Container) -> None:
    skip = 6 if take(file, box.body, 1)[0] == 0 else 8
    for entry in boxes(file, box.body + skip, box.stop, made.budget):
        data = take(file, entry.body, entry.length)
        if entry.kind != b"infe" or len(data) < 12 or data[0] < 2:
            continue
        wide = 2 if data[0] == 2 else 4
        number, rest = int.from_bytes(data[4 : 4 + wide], "big"), data[6 + wide :]
        kind = rest[:4].decode("latin-1")
        texts = rest[4:].split(b"\0", 2)
        content = texts[1].decode("latin-1") if kind == XMP and len(texts) > 1 else ""
        made.items[number] = Item(number, kind, bool(data[3] & 1), content)


class _Cursor:
    """Reads big-endian numbers of given widths in sequence."""

    def __init__(self, data: bytes, position: int):
        self.data, self.at, self.position = data, 0, position

    def take(self, width: int) -> int:
        if self.at + width > len(self.data):
            raise Malformed("a table breaks off")
        self.at += width
        return int.from_bytes(self.data[self.at - width : self.at], "big")


def _read_places(file: BinaryIO, box: Box, made: Container) -> None:
    cursor = _Cursor(take(file, box.body, box.length), box.body)
    version = cursor.take(1)
    cursor.take(3)
    sizes = cursor.take(2)
    offset_bytes, length_bytes, base_bytes = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_bytes = sizes & 15 if version in (1, 2) else 0
    for _ in range(cursor.take(2 if version < 2 else 4)):
        number = cursor.take(2 if version < 2 else 4)
        item = made.items.get(number) or Item(number, "")
        item.construction = cursor.take(2) & 15 if version in (1, 2) else 0
        cursor.take(2)
        item.base = cursor.take(base_bytes)
        count = cursor.take(2)
        made.budget.spend(parts=1 + count)
        for _ in range(count):
            cursor.take(index_bytes)
            first = cursor.position + cursor.at
            offset = cursor.take(offset_bytes)
            second = cursor.position + cursor.at
            length = cursor.take(length_bytes)
            item.extents.append((item.base + offset, length))
            item.addresses.append((first, offset_bytes, second, length_bytes))
        length = sum(length for _, length in item.extents)
        if length > end(file):
            raise Malformed(f"item {number} has {length} bytes, more than the file")


def _read_references(file: BinaryIO, box: Box, made: Container) -> None:
    wide = 2 if take(file, box.body, 1)[0] == 0 else 4
    for entry in boxes(file, box.body + 4, box.stop, made.budget):
        cursor = _Cursor(take(file, entry.body, entry.length), entry.body)
        source, count = cursor.take(wide), cursor.take(2)
        made.budget.spend(parts=count)
        targets = tuple(cursor.take(wide) for _ in range(count))
        made.references.append((entry.kind.decode("latin-1"), source, targets))


def _read_properties(file: BinaryIO, box: Box, made: Container) -> None:
    for part in boxes(file, box.body, box.stop, made.budget):
        if part.kind == b"ipco":
            made.properties = [
                (entry.kind.decode("latin-1"), take(file, entry.body, entry.length))
                for entry in boxes(file, part.body, part.stop, made.budget)
            ]
    for part in boxes(file, box.body, box.stop, made.budget):
        if part.kind == b"ipma":
            _read_associations(_Cursor(take(file, part.body, part.length), part.body), made)


def _read_associations(cursor: _Cursor, made: Container) -> None:
    version, flags = cursor.take(1), cursor.take(3)
    for _ in range(cursor.take(4)):
        item = made.items.get(cursor.take(2 if version == 0 else 4))
        count = cursor.take(1)
        made.budget.spend(parts=1 + count)
        for _ in range(count):
            wide = 2 if flags & 1 else 1
            index = cursor.take(wide) & (0x7FFF if wide == 2 else 0x7F)
            if item is not None and 0 < index <= len(made.properties):
                item.properties.append(index - 1)


def splice(file: BinaryIO, parts: Mapping[str, bytes]) -> bytes:
    """Return the file with other bytes in its Exif and mime items; everything else keeps its place.

    The old bytes are erased, the new ones appended in an mdat box of their own.

    Raises:
        Malformed: it has no such item with one extent that can be turned.

    """
    found = read(file)
    made = bytearray(take(file, 0, end(file)))
    for kind, data in parts.items():
        item = found.find(kind)
        if item is None or len(item.addresses) != 1:
            raise Malformed(f"no place for {kind}")
        for offset, length in found.places(item):
            made[offset : offset + length] = bytes(length)
        made += (len(data) + 8).to_bytes(4, "big") + b"mdat"
        first, offset_bytes, second, length_bytes = item.addresses[0]
        offset = len(made) - item.base
        if item.construction or offset >= 1 << 8 * offset_bytes or not length_bytes:
            raise Malformed(f"the address of {kind} cannot be turned")
        made[first : first + offset_bytes] = offset.to_bytes(offset_bytes, "big")
        made[second : second + length_bytes] = len(data).to_bytes(length_bytes, "big")
        made += data
    return bytes(made)
