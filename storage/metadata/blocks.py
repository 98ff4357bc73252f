"""Read a photo's metadata, clean them, and add them to another coded image.

EXIF, XMP, ICC, IPTC and comments survive. Dropped are what would be wrong for the copy (thumbnail,
orientation, C2PA manifest, MPF) and what ties it to a film, a depth or a gain map. What a JPEG
keeps in extended XMP is dropped too: it holds maps and editors' histories, never dates or ratings.
"""

import io
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from storage.formats.containers import Malformed, exif, isobmff, jpeg, png, take, tiff, webp
from storage.formats.containers.exif import Facts
from storage.formats.containers.tiff import Tiff
from storage.formats.detect import Format
from storage.formats.turn import TRANSPOSED, Turn
from storage.metadata import photoshop, png_texts, provenance, turned_exif, xmp
from storage.metadata.provenance import Provenance
from storage.metadata.turned_xmp import turn_packet

XMP_JPEG = b"http://ns.adobe.com/xap/1.0/\0"
ICC_JPEG = b"ICC_PROFILE\0"
XMP_PNG = b"XML:com.adobe.xmp"
_JFIF_BYTES = 14
_PNG_KEPT = frozenset(b"gAMA cHRM sRGB cICP mDCv mDCV cLLi cLLI sBIT pHYs tEXt zTXt iTXt".split())
_JPEG_XMP_ROOM = jpeg.MOST_BYTES - len(XMP_JPEG)


@dataclass(frozen=True)
class Metadata:
    """The metadata of a photo."""

    exif: bytes = b""
    """EXIF as a small TIFF; for a TIFF, its tags."""
    xmp: bytes = b""
    icc: bytes = b""
    jpeg: tuple[tuple[int, bytes], ...] = ()
    """Marker and body of a JPEG's other segments: JFIF, Photoshop with IPTC, comments."""
    png: tuple[tuple[bytes, bytes], ...] = ()
    """A PNG's other chunks: colour, resolution, texts."""

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

    def mended(self, turn: Turn, origin: Provenance, room: int) -> "Metadata":
        """Return the metadata of the mended copy: turned with its pixels, with its provenance.

        The XMP packet is made to fit into `room` bytes.
        """
        packet = xmp.parse_or_empty(self.xmp)
        packet.drop_ties()
        packet.remove(xmp.name("xmpNote:HasExtendedXMP"))
        turn_packet(packet, turn)
        provenance.stamp(packet, origin)
        while len(made := packet.serialise()) > room:
            packet.drop_largest()
        return Metadata(
            turned_exif.turned(exif.clean(self.exif), turn), made, self.icc,
            tuple(_turned_segment(*part, turn) for part in self.jpeg),
            png_texts.turned(self.png, turn),
        )  # fmt: skip


def xmp_room(kind: Format) -> int:
    """Return the maximum size in bytes of an XMP packet in a format."""
    return _JPEG_XMP_ROOM if kind is Format.JPEG else xmp.MOST_BYTES


def extract(file: BinaryIO, kind: Format) -> Metadata:
    """Read the metadata of a file.

    Raises:
        Malformed: the file's own structure is broken; broken metadata is just not there.

    """
    match kind:
        case Format.JPEG:
            return _of_jpeg(jpeg.metadata(file))
        case Format.PNG:
            return _of_png(png.metadata(file))
        case Format.WEBP:
            parts = webp.metadata(file)
            block, packet, icc = (parts.get(key, b"") for key in (b"EXIF", b"XMP ", b"ICCP"))
            return Metadata(exif.bare(block), packet, icc)
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
            return jpeg.splice(file, _jpeg_parts(metadata, _jfif(file)))
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
    block, packet, kept = b"", b"", []
    profile: dict[int, bytes] = {}
    for marker, body in parts:
        if marker == 0xE1 and body.startswith(exif.PREFIX):
            block = block or exif.bare(body)
        elif marker == 0xE1 and body.startswith(XMP_JPEG):
            packet = packet or body.removeprefix(XMP_JPEG)
        elif marker == 0xE2 and body.startswith(ICC_JPEG) and len(body) > 14:
            profile.setdefault(body[12], body[14:])
        elif marker == 0xED and body.startswith(photoshop.JPEG_PREFIX):
            block_of_it = body.removeprefix(photoshop.JPEG_PREFIX)
            kept.append((marker, photoshop.JPEG_PREFIX + photoshop.without_thumbnail(block_of_it)))
        elif marker == jpeg.COM or (marker == jpeg.APP0 and body.startswith(b"JFIF\0")):
            kept.append((marker, body))
    icc = b"".join(profile[number] for number in sorted(profile))
    return Metadata(block, packet, icc, tuple(kept))


def _jfif(file: BinaryIO) -> bytes:
    """Return the JFIF header of a newly coded image."""
    found = (body for marker, body in jpeg.metadata(file) if marker == jpeg.APP0)
    return next((body for body in found if body.startswith(b"JFIF\0")), b"")


def _turned_segment(marker: int, body: bytes, turn: Turn) -> tuple[int, bytes]:
    """Return a JPEG's segment with the resolutions of the turned image."""
    prefix = photoshop.JPEG_PREFIX
    if marker == jpeg.APP0 and turn.orientation in TRANSPOSED:
        body = body[:8] + body[10:12] + body[8:10] + body[12:]
    elif body.startswith(prefix):
        body = prefix + photoshop.turned(body.removeprefix(prefix), turn)
    return marker, body


def _jpeg_parts(metadata: Metadata, jfif: bytes) -> list[tuple[int, bytes]]:
    """Return the segments in order: JFIF, EXIF, XMP, ICC, then the others as they were."""
    own = [body for marker, body in metadata.jpeg if marker == jpeg.APP0]
    jfif = own[0][:12] + b"\0\0" if own and len(own[0]) >= _JFIF_BYTES else jfif
    parts = [(jpeg.APP0, jfif)] if jfif else []
    if metadata.exif and len(metadata.exif) + 6 <= jpeg.MOST_BYTES:
        parts.append((0xE1, exif.PREFIX + metadata.exif))
    if metadata.xmp:
        parts.append((0xE1, XMP_JPEG + metadata.xmp))
    room = jpeg.MOST_BYTES - 14
    pieces = [metadata.icc[at : at + room] for at in range(0, len(metadata.icc), room)]
    if len(pieces) < 256:
        parts += [
            (0xE2, ICC_JPEG + bytes((number, len(pieces))) + piece)
            for number, piece in enumerate(pieces, 1)
        ]
    return parts + [part for part in metadata.jpeg if part[0] != jpeg.APP0]


def _of_png(parts: list[tuple[bytes, bytes]]) -> Metadata:
    block, packet, icc, kept = b"", b"", b"", []
    for kind, data in parts:
        if kind == b"eXIf":
            block = block or exif.bare(data)
        elif kind == b"iCCP":
            icc = icc or png_texts.inflate(data.partition(b"\0")[2][1:])
        elif kind == b"iTXt" and data.startswith(XMP_PNG + b"\0"):
            packet = packet or png_texts.read(kind, data).value
        elif kind in (b"zTXt", b"tEXt") and data.startswith(b"Raw profile type "):
            what, raw = _raw_profile(kind, data)
            if what in ("exif", "APP1") and not block:
                block = exif.bare(raw)
            elif what == "xmp":
                packet = packet or raw
            elif what == "iptc":
                kept.append((kind, data))
        elif kind in _PNG_KEPT:
            kept.append((kind, data))
    return Metadata(block, packet, icc, png=tuple(kept))


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


def _raw_profile(kind: bytes, data: bytes) -> tuple[str, bytes]:
    """Read a profile in ImageMagick's older form: hexadecimal digits in a text."""
    text = png_texts.read(kind, data)
    digits = b"".join(text.value.split()[2:]).decode("ascii", "replace")
    try:
        return text.key.removeprefix("Raw profile type "), bytes.fromhex(digits)
    except ValueError:
        return "", b""


def _of_tiff(file: Tiff) -> Metadata:
    root = tiff.tree(file, file.directory(file.first))
    packet = root.values.pop(tiff.XMP, (0, 0, b""))[2]
    icc = root.values.pop(tiff.ICC, (0, 0, b""))[2]
    if tiff.PHOTOSHOP in root.values:
        kind, _, data = root.values[tiff.PHOTOSHOP]
        data = photoshop.without_thumbnail(data)
        root.values[tiff.PHOTOSHOP] = (kind, len(data), data)
    told = root.values or root.below
    return Metadata(tiff.serialise(root, file.order) if told else b"", packet, icc)


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
    block, packet = b"", b""
    try:
        if (item := found.find(isobmff.EXIF)) is not None:
            data = found.data(file, item)
            skip = int.from_bytes(data[:4], "big")
            block = exif.bare(data[4 + skip :]) or exif.bare(data[4:])
        if (item := found.find(isobmff.XMP, "application/rdf+xml")) is not None:
            packet = found.data(file, item)
    except Malformed:
        pass
    colours = found.of_primary("colr")
    icc = next((data[4:] for data in colours if data[:4] in (b"prof", b"rICC")), b"")
    return Metadata(block, packet, icc)
