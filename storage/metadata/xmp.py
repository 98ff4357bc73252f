"""Read, change and write XMP packets; no entity is expanded.

A packet from a file is untrusted: one with a DTD is refused (entities could grow without end), as
is a large or deep one; so is what is not RDF.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, SubElement, TreeBuilder
from xml.parsers import expat

from storage.metadata import damaged_xmp, xmp_text

NAMESPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "x": "adobe:ns:meta/",
    "xml": "http://www.w3.org/XML/1998/namespace",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "xmpNote": "http://ns.adobe.com/xmp/note/",
    "stRef": "http://ns.adobe.com/xap/1.0/sType/ResourceRef#",
    "stEvt": "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "stArea": "http://ns.adobe.com/xmp/sType/Area#",
    "stDim": "http://ns.adobe.com/xap/1.0/sType/Dimensions#",
    "MPReg": "http://ns.microsoft.com/photo/1.2/t/Region#",
    "acdsee-rs": "http://ns.acdsee.com/regions/",
    "acdsee-stArea": "http://ns.acdsee.com/sType/Area#",
    "acdsee-stDim": "http://ns.acdsee.com/sType/Dimensions#",
    "GPano": "http://ns.google.com/photos/1.0/panorama/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "GCamera": "http://ns.google.com/photos/1.0/camera/",
    "GDepth": "http://ns.google.com/photos/1.0/depthmap/",
    "GImage": "http://ns.google.com/photos/1.0/image/",
    "Device": "http://ns.google.com/photos/dd/1.0/device/",
    "Container": "http://ns.google.com/photos/1.0/container/",
    "Item": "http://ns.google.com/photos/1.0/container/item/",
    "hdrgm": "http://ns.adobe.com/hdr-gain-map/1.0/",
    "HDRGainMap": "http://ns.apple.com/HDRGainMap/1.0/",
    "crs": "http://ns.adobe.com/camera-raw-settings/1.0/",
    "photomend": "http://photomend.org/ns/1.0/",
}
JPEG_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"
"""What a packet begins with in a segment of a JPEG."""
MOST_BYTES = 16 << 20
MOST_DEPTH, MOST_NAMESPACES, MOST_PARTS = 64, 1000, 50_000
"""Number of elements within each other, of namespaces, and of elements, attributes and prefixes in all."""
_DROPPED_NAMESPACES = tuple(
    NAMESPACES[prefix]
    for prefix in ("GDepth", "GImage", "Device", "Container", "hdrgm", "HDRGainMap")
)
_DROPPED_NAMES = ("ContentIdentifier", "MediaGroupUUID", "Thumbnails", "provenance")
_DROPPED_STARTS = ("MotionPhoto", "MicroVideo")
"""`dcterms:provenance` points to a C2PA manifest; thumbnails show the photo as it was."""


class MalformedPacket(ValueError):
    """It is no XMP, or not safe to read."""


def name(short: str) -> str:
    """Return "xmp:Rating" as ElementTree writes it."""
    prefix, local = short.split(":")
    return f"{{{NAMESPACES[prefix]}}}{local}"


@dataclass
class Packet:
    """One packet: its descriptions and the prefixes it uses."""

    root: Element = field(default_factory=lambda: Element(name("rdf:RDF")))
    """rdf:RDF."""
    prefixes: dict[str, str] = field(default_factory=dict)
    """Namespace → prefix."""
    mended: str = ""
    """Why its XML had to be mended; "" if it was well-formed."""

    def descriptions(self) -> list[Element]:
        """Return the rdf:Description elements."""
        return self.root.findall(name("rdf:Description"))

    def names(self) -> Iterator[str]:
        """Yield the name of each property."""
        for block in self.descriptions():
            yield from (key for key in block.attrib if not key.startswith(_RDF))
            yield from (child.tag for child in block)

    def text(self, short: str) -> str | None:
        """Return a property's value, None if there is none; of a list or structure, the first text."""
        full = name(short)
        for block in self.descriptions():
            if full in block.attrib:
                return block.attrib[full]
            found = block.find(full)
            if found is not None:
                texts = filter(None, map(str.strip, found.itertext()))
                return next(texts, found.get(name("rdf:resource"), ""))
        return None

    def everything(self) -> str:
        """Return all names and values as one text for searching."""
        return "\n".join(
            text
            for part in self.root.iter()
            for text in (part.tag, part.text or "", *part.attrib, *part.attrib.values())
        )

    def remove(self, full: str) -> None:
        """Remove a property from all descriptions."""
        for block in self.descriptions():
            block.attrib.pop(full, None)
            for child in block.findall(full):
                block.remove(child)

    def set(self, short: str, value: str) -> None:
        """Set a simple property."""
        self.remove(name(short))
        self.block().set(name(short), clean_text(value))

    def put(self, short: str) -> Element:
        """Add and return an empty structured property."""
        self.remove(name(short))
        return SubElement(self.block(), name(short))

    def append(self, short: str, fields: dict[str, str]) -> None:
        """Append a structure to an ordered list; create a missing list."""
        found = (block.find(name(short)) for block in self.descriptions())
        history = next((element for element in found if element is not None), None)
        if history is None:
            history = SubElement(self.block(), name(short))
        sequence = history.find(name("rdf:Seq"))
        if sequence is None:
            sequence = SubElement(history, name("rdf:Seq"))
        entry = SubElement(sequence, name("rdf:li"), {name("rdf:parseType"): "Resource"})
        for key, value in fields.items():
            SubElement(entry, name(key)).text = clean_text(value)

    def drop_ties(self) -> None:
        """Remove references to a film, depth map or gain map, and thumbnails of the original."""

        def is_tie(full: str) -> bool:
            space, _, local = full[1:].partition("}")
            named = local in _DROPPED_NAMES or local.startswith(_DROPPED_STARTS)
            return named or space in _DROPPED_NAMESPACES

        self.take(frozenset(full for full in self.names() if is_tie(full)))

    def take(self, names: frozenset[str]) -> Element:
        """Remove these properties, and return them as a description."""
        taken = Element(name("rdf:Description"), {name("rdf:about"): ""})
        for block in self.descriptions():
            for key in names & block.attrib.keys():
                taken.set(key, block.attrib.pop(key))
            taken.extend(child for child in block if child.tag in names)
            block[:] = [child for child in block if child.tag not in names]
        return taken

    def sizes(self) -> dict[str, int]:
        """Return how many bytes each property takes when it is written, or a few more."""
        sizes: dict[str, int] = {}
        for block in self.descriptions():
            for key, value in block.attrib.items():
                sizes[key] = sizes.get(key, 0) + xmp_text.length_of_attribute(
                    key, value, self.prefixes
                )
            for child in block:
                sizes[child.tag] = sizes.get(child.tag, 0) + xmp_text.length(child, self.prefixes)
        return {full: size for full, size in sizes.items() if not full.startswith(_RDF)}

    def serialise(self, *, wrapped: bool = True) -> bytes:
        """Return the packet without padding, in the x:xmpmeta element unless it must be small."""
        return xmp_text.of(self.root, self.prefixes, NAMESPACES, wrapped=wrapped)

    def block(self) -> Element:
        """Return the first description; add a missing one."""
        found = self.descriptions()
        about = name("rdf:about")
        if found:
            return found[0]
        return SubElement(self.root, name("rdf:Description"), {about: ""})


_RDF = "{" + NAMESPACES["rdf"] + "}"


def parse(data: bytes) -> Packet:
    """Read a packet; one that is not well-formed is mended first.

    Raises:
        MalformedPacket: it is too large, too deep, has a DTD or is no RDF.

    """
    data = data.rstrip(b"\0 \t\r\n")
    if len(data) > MOST_BYTES:
        raise MalformedPacket(f"the XMP packet has {len(data)} bytes")
    try:
        return _parse(data)
    except (expat.ExpatError, AssertionError, ValueError) as error:
        if isinstance(error, MalformedPacket):
            raise
        return _mended(data, str(error))


def _mended(data: bytes, wrong: str) -> Packet:
    try:
        packet = _parse(damaged_xmp.mended(data, NAMESPACES))
    except (expat.ExpatError, AssertionError, ValueError) as error:
        raise MalformedPacket(f"the XMP packet is broken: {wrong}") from error
    if not len(packet.root):
        raise MalformedPacket(f"the XMP packet is broken, and nothing in it can be read: {wrong}")
    packet.mended = wrong
    return packet


def _parse(data: bytes) -> Packet:
    builder, packet, depth, parts = TreeBuilder(), Packet(), 0, 0
    parser = expat.ParserCreate(namespace_separator="}")

    def count(number: int) -> None:
        nonlocal parts
        parts += number
        if parts > MOST_PARTS:
            raise MalformedPacket(f"the XMP packet has more than {MOST_PARTS} parts")

    def begin(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MOST_DEPTH:
            raise MalformedPacket("the XMP packet is too deep")
        count(1 + len(attributes))
        builder.start(_full(tag), {_full(key): value for key, value in attributes.items()})

    def finish(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(_full(tag))

    def refuse(*_: object) -> None:
        raise MalformedPacket("the XMP packet has a DTD")

    def remember(prefix: str | None, space: str | None) -> None:
        count(1)
        if prefix and space and space not in packet.prefixes:
            packet.prefixes[space] = prefix
        if len(packet.prefixes) > MOST_NAMESPACES:
            raise MalformedPacket("the XMP packet has too many namespaces")

    parser.StartElementHandler, parser.EndElementHandler = begin, finish
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.StartNamespaceDeclHandler = remember
    parser.Parse(data, True)
    root = builder.close()
    rdf = next(root.iter(name("rdf:RDF")), None)
    if rdf is None:
        if root.tag == name("x:xmpmeta") and not len(root) and not (root.text or "").strip():
            return packet
        raise MalformedPacket("the XMP packet has no rdf:RDF")
    packet.root = rdf
    return packet


def parse_or_empty(data: bytes) -> Packet:
    """Read a packet; return an empty one if it is missing or refused."""
    try:
        return parse(data) if data else Packet()
    except MalformedPacket:
        return Packet()


def fault(data: bytes) -> str | None:
    """Return why a packet cannot be read, even mended; None if it can or is missing."""
    try:
        parse(data if data.strip(b"\0 \t\r\n") else Packet().serialise())
    except MalformedPacket as error:
        return str(error)
    return None


def new_id(kind: str) -> str:
    """Return a new identifier: xmp.did:… or xmp.iid:…."""
    return f"xmp.{kind}:{uuid.uuid4()}"


def clean_text(text: str) -> str:
    """Return a text without the characters that XML forbids."""
    kept = text.encode("utf-8", "replace").decode()
    return "".join(
        letter
        for letter in kept
        if letter in "\t\n" or (letter >= " " and letter not in "\ufffe\uffff")
    )


def _full(tag: str) -> str:
    return "{" + tag if "}" in tag else tag
