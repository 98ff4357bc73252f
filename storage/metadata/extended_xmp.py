"""Extended XMP: what of a packet does not fit into one segment of a JPEG (XMP, part 3, 1.1.3.1)."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, takewhile
from xml.sax.saxutils import quoteattr

from storage.formats.containers import jpeg
from storage.metadata import xmp
from storage.metadata.xmp import MalformedPacket, Packet, name

PREFIX = b"http://ns.adobe.com/xmp/extension/\0"
_GUID_BYTES = 32
_HEADER = len(PREFIX) + _GUID_BYTES + 8
MOST_PACKETS = 64
"""Number of different packets in one file that are united."""
ROOM = jpeg.MOST_BYTES - len(xmp.JPEG_PREFIX)
"""Maximum size in bytes of a packet in one segment."""
_HEAD_BYTES = 4096
"""Room for what a packet has around its properties: elements, usual namespaces, the name of its extension."""
_NOTE = "xmpNote:HasExtendedXMP"
_OURS = tuple(
    "{" + xmp.NAMESPACES[prefix] + "}" + start
    for prefix, start in (
        ("photomend", ""), ("xmpMM", ""), ("Iptc4xmpExt", "AISystem"),
        ("Iptc4xmpExt", "DigitalSourceType"), ("xmp", "MetadataDate"), ("xmp", "ModifyDate"),
    )
)  # fmt: skip
"""Properties that photomend writes: they give way first."""
_OWNERS = ("subject", "hierarchicalSubject", "Regions", "RegionInfo", "Rating", "RatingPercent",
           "TagsList", "Label", "title", "description", "PersonInImage")  # fmt: skip
"""Properties that give way last."""


def joined(packet: bytes, bodies: Sequence[bytes]) -> Packet:
    """Return a packet with what its extension says.

    `bodies` are those of the segments that begin with `PREFIX`.

    Raises:
        MalformedPacket: one of the two cannot be read, or a piece is missing.

    """
    main = xmp.parse(packet) if packet else Packet()
    extension = xmp.parse(_pieced(main.text(_NOTE), bodies))
    main.remove(name(_NOTE))
    return merged(main, [extension])


def united(packets: Sequence[bytes], further: Sequence[bytes] = ()) -> tuple[bytes, str]:
    """Return all packets of a file and an extension as one, and why that cannot be done; "" if it can.

    What two packets state is taken of the first one.
    """
    packets = list(dict.fromkeys(filter(None, packets)))
    packet, others = next(iter(packets), b""), packets[1:]
    if not further and not others:
        return packet, ""
    try:
        if len(packets) > MOST_PACKETS:
            raise MalformedPacket(f"it has {len(packets)} XMP packets")
        main = joined(packet, further) if further else xmp.parse(packet)
        return merged(main, map(xmp.parse, others)).serialise(), ""
    except MalformedPacket as error:
        return packet, str(error)


def merged(main: Packet, others: Iterable[Packet]) -> Packet:
    """Return a packet to which those properties of others are added that it lacks."""
    known = set(main.names())
    for other in others:
        other.take(frozenset(known))
        main.root.extend(other.descriptions())
        main.prefixes = {**other.prefixes, **main.prefixes}
        known.update(other.names())
    return main


def _pieced(wanted: str | None, bodies: Sequence[bytes]) -> bytes:
    """Return the extension that a packet names; that of the only name if it names none."""
    pieces: dict[str, dict[int, bytes]] = {}
    lengths: dict[str, int] = {}
    for body in bodies:
        if len(body) < _HEADER:
            raise MalformedPacket("its extended XMP breaks off")
        head, guid = (
            body[_HEADER - 8 : _HEADER],
            body[len(PREFIX) : _HEADER - 8].decode("latin-1").upper(),
        )
        lengths[guid] = int.from_bytes(head[:4], "big")
        pieces.setdefault(guid, {})[int.from_bytes(head[4:], "big")] = body[_HEADER:]
    guid = (wanted or next(iter(pieces))).upper()
    if guid not in pieces or (not wanted and len(pieces) > 1):
        raise MalformedPacket("its extended XMP is not the one that it names")
    made = bytearray()
    for offset, data in sorted(pieces[guid].items()):
        if offset != len(made):
            raise MalformedPacket("its extended XMP is incomplete")
        made += data
    if len(made) != lengths[guid]:
        raise MalformedPacket("its extended XMP is incomplete")
    return bytes(made)


def split(packet: bytes) -> tuple[bytes, list[bytes]]:
    """Return a packet that fits into a segment, and the bodies of the segments of its extension.

    Our own properties are the first to be moved, then the largest, the owner's keywords, regions
    and ratings last.
    """
    if len(packet) <= ROOM:
        return packet, []
    sizes = xmp.parse(packet).sizes()
    names = sorted(sizes, key=lambda full: _rank(full, sizes[full]))
    ours = sum(full.startswith(_OURS) for full in names)

    def divided(count: int, *, wrapped: bool = True) -> tuple[bytes, bytes]:
        return _divided(packet, frozenset(names[:count]), wrapped=wrapped)

    main, data = divided(ours)
    if len(main) > ROOM:
        main, data = divided(ours, wrapped=False)
    if len(main) > ROOM:
        main, data = divided(_fitting(xmp.parse(packet), names, sizes), wrapped=False)
    if len(main) > ROOM:
        main, data = _noted(Packet(), packet), packet
    size = jpeg.MOST_BYTES - _HEADER
    head = PREFIX + _guid(data) + len(data).to_bytes(4, "big")
    places = range(0, len(data), size)
    return main, [head + at.to_bytes(4, "big") + data[at : at + size] for at in places]


def _fitting(packet: Packet, names: Sequence[str], sizes: Mapping[str, int]) -> int:
    """Return how many of the properties must be moved, so that the others fit into a segment."""
    declared = sum(len(quoteattr(space)) + len(prefix) for space, prefix in packet.prefixes.items())
    room = ROOM - declared - 10 * len(packet.prefixes) - _HEAD_BYTES
    kept = accumulate(sizes[full] for full in reversed(names))
    return len(names) - sum(1 for size in takewhile(lambda size: size <= room, kept))


def _divided(packet: bytes, moved: frozenset[str], *, wrapped: bool) -> tuple[bytes, bytes]:
    """Return a packet without some of its properties, and a packet of these."""
    main, extension = xmp.parse(packet), Packet()
    extension.prefixes = main.prefixes
    extension.root.append(main.take(moved))
    data = extension.serialise()
    return _noted(main, data, wrapped=wrapped), data


def _noted(main: Packet, extension: bytes, *, wrapped: bool = True) -> bytes:
    """Return a packet that names its extension."""
    main.set(_NOTE, _guid(extension).decode())
    return main.serialise(wrapped=wrapped)


def _guid(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).hexdigest().upper().encode()


def _rank(full: str, size: int) -> tuple[int, int, str]:
    """Return when a property is moved: ours first, the owner's last, else the larger first."""
    if full.startswith(_OURS):
        return 0, 0, full
    return 2 if full.rpartition("}")[2] in _OWNERS else 1, -size, full
