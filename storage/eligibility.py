"""Which photos are left alone, and why: a copy would lose something, or nobody wants one.

RAW, animated and multi-page files; what carries a gain map, a depth map or a film; screenshots,
chat pictures, others' edits and our own results. A plain MPF with previews, as most cameras write,
is none of these.
"""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from storage.formats import headers
from storage.formats.containers import Malformed, end, exif, isobmff, jpeg, png, take, tiff, webp
from storage.formats.containers.tiff import Tiff
from storage.formats.detect import OTHERS, RAW, Format
from storage.inspection import Inspection
from storage.metadata import provenance, xmp
from storage.metadata.blocks import Metadata
from storage.metadata.xmp import Packet
from storage.screens import is_screen

SMALLEST_PIXELS = 16
"""A photo whose shorter side has fewer pixels is left alone."""
TRAILER_BYTES = 32 << 20
"""Number of bytes after a JPEG's end that are searched for a film."""
_MAP_BYTES = 1 << 16
"""Number of bytes of each further image of an MPF that are searched for marks of a gain map."""

_EDITORS = re.compile(
    r"photoshop|lightroom|camera raw|\bgimp\b|darktable|rawtherapee|capture one|affinity|pixelmator"
    r"|snapseed|luminar|topaz|\bdxo\b|paint\.net|photomatix|nik collection|\bvsco\b|picsart"
    r"|facetune|faceapp|\bremini\b|upscayl|meitu|beautyplus|polarr|photopea|canva\b|fotor\b",
    re.IGNORECASE,
)
"""Programs that change pixels. Programs that may only have tagged the photo (digiKam, Picasa) are not here."""
_EDIT_NAMES = re.compile(
    r"[-_~ (](edited|edit\d*|bearbeitet|modifi[eé]|modificato|editado|editada|bewerkt|mended)\)?"
    r"(\(\d+\))?$|-(effects|collage)$|^img_e\d{4,}$|_e$|^\d{8}_\d{6}_\d{2}$",
    re.IGNORECASE,
)
"""Marks of Google, Apple ("IMG_E0001"), Samsung ("…_01") and library apps."""
_SCREENSHOT_NAMES = re.compile(
    r"^(screen[ _-]?shot|bildschirmfoto|capture d.[eé]cran|captura de (pantalla|ecr)"
    r"|schermata|schermafbeelding|screencap)",
    re.IGNORECASE,
)
_CHAT_NAMES = re.compile(r"^whatsapp|^(img|vid)-\d{8}-wa\d{4,}", re.IGNORECASE)

_FILM, _DEPTH, _GAIN = (
    "a motion or Live photo, whose film belongs to it",
    "it carries a depth map, which would be lost",
    "it carries an HDR gain map, which would be lost",
)


def left_alone(seen: Inspection) -> str | None:
    """Return why a photo is left alone, in a few words; None if it may be mended.

    A file that has too many bytes or is no photo has no reason here: `photos.read` refuses it.

    Raises:
        UnreadablePhoto: it is no regular file, empty or broken.
        OSError: the disk or the share does not give it.

    """
    if named := by_name(seen.path):
        return named
    if seen.source_bytes > seen.limits.max_bytes:
        return None
    with seen.reading() as file:
        return next(_reasons(seen, file), None)


def by_name(path: Path) -> str | None:
    """Return why a file is left alone because of its name; None if the name allows it."""
    suffix = path.suffix.lower()
    if suffix in RAW:
        return "a RAW file, which photomend does not handle"
    if suffix in OTHERS:
        return f"a {OTHERS[suffix]} file, which photomend does not handle"
    if _SCREENSHOT_NAMES.search(path.stem) or any(map(_SCREENSHOT_NAMES.search, path.parts[:-1])):
        return "a screenshot, by its name or folder"
    if _CHAT_NAMES.search(path.stem) or any(map(_CHAT_NAMES.search, path.parts[:-1])):
        return "a picture from WhatsApp, by its name or folder"
    if _EDIT_NAMES.search(path.stem):
        return "an edit or export of another program, by its name"
    return None


def _reasons(seen: Inspection, file: BinaryIO) -> Iterator[str]:
    """Yield the reasons that the content gives; the last check reads the whole file."""
    kind = seen.sniffed
    if isinstance(kind, str) and not isinstance(kind, Format):
        yield f"a {kind} file by its content, which photomend does not handle"
    if not isinstance(kind, Format):
        return
    yield from _several(file, kind)
    if wrong := seen.metadata.unreadable or xmp.fault(seen.metadata.xmp):
        yield f"it may carry what would be lost: {wrong}"
    packet = xmp.parse_or_empty(seen.metadata.xmp)
    if provenance.of(packet) is not None:
        yield "photomend made it"
    yield from _maps_and_films(seen, file, kind, packet)
    if seen.header.unusual:
        yield seen.header.unusual
    if min(seen.header.width, seen.header.height) < SMALLEST_PIXELS:
        yield f"too small ({seen.header.width} x {seen.header.height} pixels)"
    yield from _from_elsewhere(kind, seen.header, seen.metadata, packet)
    if kind is Format.JPEG and _has_film_behind(file):
        yield _FILM


def _several(file: BinaryIO, kind: Format) -> Iterator[str]:
    """Yield a reason if it is an animation or has several pages."""
    match kind:
        case Format.PNG if any(chunk.kind == b"acTL" for chunk in png.chunks(file)):
            yield "an animated PNG"
        case Format.WEBP if webp.header(file).flags & webp.ANIMATED:
            yield "an animated WebP"
        case Format.TIFF if _pages(Tiff(file)) > 1:
            yield "a TIFF with several pages"
        case Format.HEIC | Format.AVIF:
            found = isobmff.read(file)
            if found.brands & {b"avis", b"hevc", b"hevx", b"msf1"} or b"moov" in found.boxes:
                yield f"a film or animation in {kind}"
            elif len(_pictures(found)) > 1:
                yield f"several images in one {kind}"


def _pages(file: Tiff) -> int:
    """Return the number of pages of a TIFF that are not a preview or a mask of another."""
    return sum(not file.number(page, tiff.SUBFILE) & 5 for page in file.pages())


def _pictures(found: isobmff.Container) -> set[int]:
    """Return the items that are independent pictures: no tiles, thumbnails or auxiliary images."""
    coded = {
        number
        for number, item in found.items.items()
        if item.kind in ("hvc1", "av01", "grid", "iovl", "iden", "jpeg") and not item.hidden
    }
    parts = {
        number
        for kind, source, targets in found.references
        for number in (targets if kind == "dimg" else (source,) if kind in ("thmb", "auxl") else ())
    }
    return coded - parts


def _maps_and_films(
    seen: Inspection, file: BinaryIO, kind: Format, packet: Packet
) -> Iterator[str]:
    words = packet.everything()
    if _has_gain_map(file, kind, words):
        yield _GAIN
    if _has_depth(file, kind, words):
        yield _DEPTH
    if kind in (Format.HEIC, Format.AVIF):
        others = [name for name in isobmff.read(file).auxiliaries() if not _is_alpha(name)]
        if others:
            yield f"it carries a further image ({others[0]}), which would be lost"
    if seen.metadata.facts.content_identifier or _has_film(seen.path, file, kind, words, packet):
        yield _FILM


def _has_gain_map(file: BinaryIO, kind: Format, words: str) -> bool:
    if any(xmp.NAMESPACES[prefix] in words for prefix in ("hdrgm", "HDRGainMap")):
        return True
    if re.search(r"^GainMap$", words, re.MULTILINE):
        return True
    match kind:
        case Format.JPEG:
            return _jpeg_gain_map(file)
        case Format.PNG:
            return any(chunk.kind in (b"gMAP", b"gDAT") for chunk in png.chunks(file))
        case Format.HEIC | Format.AVIF:
            items = isobmff.read(file)
            return items.find("tmap") is not None or any(
                "hdrgainmap" in name or "21496" in name for name in items.auxiliaries()
            )
        case _:
            return False


_GAIN_MARKS = (b"urn:iso:std:iso:ts:21496", b"hdr-gain-map", b"HDRGainMap", b"hdrgainmap")


def _jpeg_gain_map(file: BinaryIO) -> bool:
    """Return whether a JPEG's segments, or the further images of its MPF, hold a gain map."""
    for marker, body in jpeg.metadata(file):
        if marker == 0xE2 and body.startswith(b"urn:iso:std:iso:ts:21496"):
            return True
    return _is_behind(file, _GAIN_MARKS)


def _is_behind(file: BinaryIO, marks: tuple[bytes, ...]) -> bool:
    """Return whether one of the further images of a JPEG's MPF begins with one of the marks."""
    for start, length in _further_images(file):
        data = take(file, start, min(length, _MAP_BYTES, max(0, end(file) - start)))
        if any(mark in data for mark in marks):
            return True
    return False


def _further_images(file: BinaryIO) -> list[tuple[int, int]]:
    """Return (offset, length) of each image of an MPF but the first (CIPA DC-007)."""
    for segment in jpeg.segments(file, with_scans=False):
        body = take(file, segment.body, segment.length) if segment.marker == 0xE2 else b""
        if body.startswith(b"MPF\0"):
            try:
                index = Tiff(io.BytesIO(body[4:]))
                entry = index.directory(index.first).entries.get(0xB002)
                table = index.bytes_of(entry) if entry is not None else b""
            except Malformed:
                return []
            order = "little" if index.order == "<" else "big"
            rows = (table[at : at + 16] for at in range(16, len(table) - 15, 16))
            return [
                (
                    segment.body + 4 + int.from_bytes(row[8:12], order),  # type: ignore[arg-type]
                    int.from_bytes(row[4:8], order),  # type: ignore[arg-type]
                )
                for row in rows
            ]
    return []


_DEPTH_MARKS = (b"ns.apple.com/depthData", b"DataTypeDepth", b"DataTypeDisparity")


def _has_depth(file: BinaryIO, kind: Format, words: str) -> bool:
    if any(xmp.NAMESPACES[prefix] in words for prefix in ("GDepth", "Device")):
        return True
    if re.search(r"^Depth$", words, re.MULTILINE):
        return True
    if kind is Format.JPEG:
        return _is_behind(file, _DEPTH_MARKS)
    if kind not in (Format.HEIC, Format.AVIF):
        return False
    return any(
        "depth" in name or name.endswith("auxid:2") for name in isobmff.read(file).auxiliaries()
    )


def _is_alpha(name: str) -> bool:
    return "alpha" in name or name.endswith("auxid:1")


def _has_film(path: Path, file: BinaryIO, kind: Format, words: str, packet: Packet) -> bool:
    if any(packet.text(f"GCamera:{name}") == "1" for name in ("MotionPhoto", "MicroVideo")):
        return True
    if re.search(r"^MotionPhoto$", words, re.MULTILINE):
        return True
    if kind in (Format.JPEG, Format.HEIC) and any(
        path.with_suffix(suffix).exists() for suffix in (".MOV", ".mov")
    ):
        return True
    return kind is Format.HEIC and b"mpvd" in isobmff.read(file).boxes


_FILM_MARK = re.compile(
    rb"MotionPhoto_Data|\0\0\0[\x08-\x40]ftyp(mp4|isom|iso\d|qt  |MSNV|avc1|mp42)"
)


def _has_film_behind(file: BinaryIO) -> bool:
    """Return whether a film follows the end of a JPEG, as phones of Samsung and Google write it."""
    start = jpeg.coded_end(file)
    if start is None:
        return False
    length = min(end(file) - start, TRAILER_BYTES)
    return length > 16 and _FILM_MARK.search(take(file, start, length)) is not None


def _from_elsewhere(
    kind: Format, header: headers.Header, found: Metadata, packet: Packet
) -> Iterator[str]:
    """Yield a reason if its size is that of a screen, or its metadata name an editor."""
    facts: exif.Facts = found.facts
    if facts.comment.strip() == "Screenshot":
        yield "a screenshot, by its comment"
    if not facts.make and is_screen(header.width, header.height, kind):
        size = f"{header.width} x {header.height}"
        yield f"a screenshot, by its size ({size}) without a camera's name"
    tools = (facts.software, packet.text("xmp:CreatorTool") or "")
    for tool in tools:
        if _EDITORS.search(tool):
            yield f"an edit or export of {xmp.clean_text(tool)[:60]}"
