"""Read a photo's metadata, clean them, and add them to another coded image.

EXIF, XMP, ICC, IPTC and comments survive. Dropped are what would be wrong for the copy (thumbnail,
orientation, C2PA manifest, MPF) and what ties it to a film, a depth or a gain map; of a damaged
block, only what cannot be read.
"""

import io
import zlib
from dataclasses import dataclass, replace
from typing import BinaryIO

from storage.formats.containers import (
    Malformed,
    damaged_exif,
    exif,
    isobmff,
    jpeg,
    png,
    take,
    tiff,
    webp,
)
from storage.formats.containers.exif import Facts
from storage.formats.containers.tiff import Tiff
from storage.formats.detect import Format
from storage.formats.turn import Turn
from storage.metadata import (
    extended_xmp,
    icc_profile,
    jpeg_blocks,
    photoshop,
    png_texts,
    provenance,
    turned_exif,
    xmp,
)
from storage.metadata.png_texts import Text
from storage.metadata.provenance import Provenance
from storage.metadata.turned_xmp import turn_packet

XMP_PNG = b"XML:com.adobe.xmp"
PNG_KEPT = frozenset(b"gAMA cHRM sRGB cICP mDCv mDCV cLLi cLLI sBIT pHYs tEXt zTXt iTXt".split())
"""Chunks of a PNG that a copy carries as they are."""


@dataclass(frozen=True)
class Metadata:
    """The metadata of a photo."""

    exif: bytes = b""
    """EXIF as a small TIFF; for a TIFF, its tags."""
    xmp: bytes = b""
    icc: bytes = b""
    jpeg: tuple[tuple[int, bytes], ...] = ()
    """Marker and body of a JPEG's other segments: JFIF, comments, Photoshop with IPTC (of any length)."""
    png: tuple[tuple[bytes, bytes], ...] = ()
    """A PNG's other chunks: colour, resolution, texts."""
    dropped: tuple[str, ...] = ()
    """What was damaged and is not here, in a few words each."""
    unreadable: str = ""
    """Why a part cannot be read that may hold a map or the owner's words; "" if none."""

    @property
    def facts(self) -> Facts:
        """Facts from the EXIF that decide how the photo is treated, and its camera."""
        return exif.facts(self.exif)

    @property
    def orientations(self) -> list[int]:
        """The orientations that EXIF, XMP and texts of a PNG state, each 1 to 8, in this order."""
        text = (xmp.parse_or_empty(self.xmp).text("tiff:Orientation") or "").strip()
        told = (
            self.facts.orientation if exif.has_orientation(self.exif) else None,
            int(text) if text in tuple("12345678") else None,
            png_texts.orientation(self.png),
        )
        return [stated for stated in told if stated is not None]

    @property
    def orientation(self) -> int:
        """The orientation, 1 to 8, from EXIF, or else from XMP, or else from a text of a PNG."""
        return next(iter(self.orientations), 1)

    @property
    def is_full_panorama(self) -> bool:
        """Whether XMP says that it is an equirectangular panorama of 360 degrees."""
        packet = xmp.parse_or_empty(self.xmp)
        whole, part = (
            packet.text(f"GPano:{side}WidthPixels") for side in ("FullPano", "CroppedAreaImage")
        )
        kind = (packet.text("GPano:ProjectionType") or "").lower()
        return kind == "equirectangular" and self.orientation in (1, 2, 3, 4) and whole == part

    def mended(self, turn: Turn, origin: Provenance) -> "Metadata":
        """Return the metadata of the mended copy: turned with its pixels, with its provenance."""
        packet = xmp.parse_or_empty(self.xmp)
        packet.drop_ties()
        packet.remove(xmp.name("xmpNote:HasExtendedXMP"))
        turn_packet(packet, turn)
        provenance.stamp(packet, origin)
        return replace(
            self,
            exif=turned_exif.turned(exif.clean(self.exif), turn),
            xmp=packet.serialise(),
            jpeg=jpeg_blocks.turned(self.jpeg, turn),
            png=png_texts.turned(self.png, turn),
        )


def extract(file: BinaryIO, kind: Format) -> Metadata:
    """Read the metadata of a file; what is damaged is repaired as far as possible.

    Raises:
        Malformed: the file's own structure is broken.

    """
    found = _found(file, kind)
    block, lost = damaged_exif.repaired(found.exif)
    if wrong := xmp.parse_or_empty(found.xmp).mended:
        lost = (*lost, f"what was not well-formed in the XMP packet: {wrong}")
    icc, dropped = found.icc, [*found.dropped, *lost]
    if not icc_profile.is_whole(icc):
        icc = b""
        dropped.append("an incomplete ICC profile")
    return replace(found, exif=block, icc=icc, dropped=tuple(dropped))


def _found(file: BinaryIO, kind: Format) -> Metadata:
    match kind:
        case Format.JPEG:
            return _of_jpeg(jpeg.metadata(file))
        case Format.PNG:
            return _of_png(png.metadata(file))
        case Format.WEBP:
            parts = webp.metadata(file)
            block, packet, icc = (parts.get(key, b"") for key in (b"EXIF", b"XMP ", b"ICCP"))
            return Metadata(block, packet, icc)
        case Format.TIFF:
            return _of_tiff(Tiff(file))
        case Format.HEIC | Format.AVIF:
            return _of_items(file, isobmff.read(file))


def splice(coded: bytes, kind: Format, metadata: Metadata) -> bytes:
    """Return the file `coded` with this metadata instead of its own.

    Raises:
        Malformed: it cannot be done without touching the coded image.

    """
    file = io.BytesIO(coded)
    match kind:
        case Format.JPEG:
            held = (metadata.exif, metadata.xmp, metadata.icc, metadata.jpeg)
            return jpeg.splice(file, jpeg_blocks.segments(*held, _jfif(file)))
        case Format.PNG:
            return png.splice(file, _png_parts(metadata))
        case Format.WEBP:
            parts = {b"EXIF": metadata.exif, b"XMP ": metadata.xmp, b"ICCP": metadata.icc}
            return webp.splice(file, parts)
        case Format.TIFF:
            return _tiff_around(Tiff(file), metadata)
        case Format.HEIC | Format.AVIF:
            block = bytes(4) + (metadata.exif or exif.EMPTY)
            return isobmff.splice(file, {isobmff.EXIF: block, isobmff.XMP: metadata.xmp})


def _of_jpeg(parts: list[tuple[int, bytes]]) -> Metadata:
    found = jpeg_blocks.read(parts)
    return Metadata(
        found.exif,
        found.xmp,
        found.icc,
        found.kept,
        dropped=found.dropped,
        unreadable=found.unreadable,
    )


def _jfif(file: BinaryIO) -> bytes:
    """Return the JFIF header of a newly coded image."""
    return next((part[1] for part in jpeg.metadata(file) if jpeg.is_jfif(*part)), b"")


def _of_png(parts: list[tuple[bytes, bytes]]) -> Metadata:
    icc, older, kept, room = b"", b"", [], png_texts.room()
    exifs: list[bytes] = []
    packets: list[bytes] = []
    for kind, data in sorted(parts, key=lambda part: part[0] != b"eXIf"):
        if kind == b"eXIf":
            exifs.append(data)
        elif kind == b"iCCP":
            icc = icc or png_texts.inflate(data.partition(b"\0")[2][1:], room) or b"broken"
        elif kind == b"iTXt" and data.startswith(XMP_PNG + b"\0"):
            packets.append(_packet(png_texts.read(kind, data, room)))
        elif kind in (b"zTXt", b"tEXt") and data.startswith(b"Raw profile type "):
            what, raw = png_texts.raw_profile(png_texts.read(kind, data, room))
            if raw.startswith(jpeg_blocks.XMP) or what == "xmp":
                packets.append(raw.removeprefix(jpeg_blocks.XMP))
            elif what in ("exif", "APP1"):
                exifs.append(raw)
            elif what in ("icm", "icc"):
                older = older or raw
            else:
                kept.append((kind, data))
        elif kind in PNG_KEPT:
            kept.append((kind, data))
    stated = {kind for kind, _ in kept} & {b"sRGB", b"cICP"}
    bare = list(dict.fromkeys(map(exif.bare, exifs)))
    packet, unreadable = extended_xmp.united(packets)
    return Metadata(
        next(iter(exifs), b""), packet, icc or (b"" if stated else older), png=tuple(kept),
        dropped=("a second EXIF block",) * (len(bare) > 1), unreadable=unreadable,
    )  # fmt: skip


def _png_parts(metadata: Metadata) -> list[tuple[bytes, bytes]]:
    """Return the chunks in order; colour comes first, as the standard asks."""
    kept = [part for part in metadata.png if not (metadata.icc and part[0] == b"sRGB")]
    parts = list(kept)
    if metadata.icc:
        parts.append((b"iCCP", b"ICC\0\0" + zlib.compress(metadata.icc)))
    if metadata.exif:
        parts.append((b"eXIf", metadata.exif))
    if metadata.xmp:
        parts.append((b"iTXt", XMP_PNG + bytes(5) + metadata.xmp))
    return parts


def _packet(text: Text) -> bytes:
    """Return the packet in a text; one that cannot be decompressed is no XMP."""
    return text.value or (b"broken" if text.compressed else b"")


def _of_tiff(file: Tiff) -> Metadata:
    root = tiff.tree(file, file.directory(file.first))
    packet = root.values.pop(tiff.XMP, (0, 0, b""))[2]
    icc = root.values.pop(tiff.ICC, (0, 0, b""))[2]
    if tiff.PHOTOSHOP in root.values:
        kind, _, data = root.values[tiff.PHOTOSHOP]
        data = photoshop.without_thumbnail(data)
        root.values[tiff.PHOTOSHOP] = (kind, len(data), data)
    told = root.values or root.below
    lost = tuple(f"tag 0x{tag:04X}" for tag in root.lost)
    made = tiff.serialise(root, file.order) if told else b""
    return Metadata(made, packet, icc, dropped=lost)


def _tiff_around(coded: Tiff, metadata: Metadata) -> bytes:
    """Return a TIFF of the unchanged strips with this metadata.

    The photo's tags are kept only if they have the byte order of the coded image.
    """
    page = coded.directory(coded.first)
    root = tiff.Tree()
    if metadata.exif:
        tags = Tiff(io.BytesIO(metadata.exif))
        if tags.order == coded.order:
            root = tiff.tree(tags, tags.directory(tags.first))
    for tag in tiff.CODED:
        if tag in page.entries:
            entry = page.entries[tag]
            root.values[tag] = (entry.kind, entry.count, coded.bytes_of(entry))
    root.values[tiff.XMP] = (1, len(metadata.xmp), metadata.xmp)
    if metadata.icc:
        root.values[tiff.ICC] = (tiff.UNDEFINED, len(metadata.icc), metadata.icc)
    strips = [take(coded.file, *place) for place in coded.strips(page)]
    places = tiff.STRIPS if tiff.STRIPS in page.entries else tiff.TILES
    return tiff.serialise(root, coded.order, strips, places)


def _of_items(file: BinaryIO, found: isobmff.Container) -> Metadata:
    block, packet, unreadable = b"", b"", ""
    dropped: tuple[str, ...] = ()
    try:
        if (item := found.find(isobmff.EXIF)) is not None:
            data = found.data(file, item)
            skip = int.from_bytes(data[:4], "big")
            block = exif.bare(data[4 + skip :]) or data[4:]
    except Malformed as error:
        dropped = (f"the EXIF block: {error}",)
    try:
        if (item := found.find(isobmff.XMP, "application/rdf+xml")) is not None:
            packet = found.data(file, item)
    except Malformed as error:
        unreadable = f"its XMP cannot be read: {error}"
    colours = found.of_primary("colr")
    icc = next((data[4:] for data in colours if data[:4] in (b"prof", b"rICC")), b"")
    return Metadata(block, packet, icc, dropped=dropped, unreadable=unreadable)
