"""Which photos are left alone, and why: a copy would lose something, or nobody wants one.

RAW and animated files; what has a part that a copy cannot carry (`storage/uncarried`) or a sidecar that
cannot be read; the photo of a film; screenshots, chat pictures, others' edits and our own results.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from storage import jail, uncarried
from storage.beneath import Beneath
from storage.formats import headers
from storage.formats.containers import exif, png, webp
from storage.formats.detect import OTHERS, RAW, Format
from storage.inspection import Inspection
from storage.metadata import provenance, sidecar, xmp
from storage.metadata.blocks import Metadata
from storage.metadata.turned_xmp import unturnable
from storage.metadata.xmp import Packet
from storage.screens import is_screen
from storage.uncarried.words import FILM

SMALLEST_PIXELS = 16
"""A photo whose shorter side has fewer pixels is left alone."""
_FILMS = (".mov", ".MOV", ".mp4", ".MP4")
"""Suffixes of the film of a Live or motion photo."""

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


@dataclass(frozen=True)
class Beside:
    """What lies beside a photo."""

    film: bool
    """Whether a film has its name."""
    sidecars: Mapping[str, bytes]
    """Its sidecars, by name."""


def left_alone(seen: Inspection) -> str | None:
    """Return why a photo is left alone, in a few words; None if it may be mended.

    A file that has too many bytes or is no photo has no reason here: `photos.read` refuses it.

    Raises:
        UnreadablePhoto: it is no regular file, empty or broken.
        OSError: the disk or the share does not give it.

    """
    if named := by_name(seen.path.path):
        return named
    if seen.source_bytes > seen.limits.max_bytes:
        return None
    beside = Beside(_has_film(seen.path), sidecar.beside(seen.path))
    return jail.run(by_content, seen, beside)


def by_content(seen: Inspection, beside: Beside) -> str | None:
    """Return why a photo is left alone because of its content or what lies beside it."""
    with seen.reading() as file:
        return next(_reasons(seen, beside, file), None)


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


def _reasons(seen: Inspection, beside: Beside, file: BinaryIO) -> Iterator[str]:
    """Yield the reasons that the content gives; the last check reads the whole file."""
    kind = seen.sniffed
    if isinstance(kind, str) and not isinstance(kind, Format):
        yield f"a {kind} file by its content, which photomend does not handle"
    if not isinstance(kind, Format):
        return
    yield from _animated(file, kind)
    packet = xmp.parse_or_empty(seen.metadata.xmp)
    if provenance.of(packet) is not None:
        yield "photomend made it"
    yield from uncarried.reasons(seen, file, kind)
    yield from _unturnable(seen, packet, beside.sidecars)
    has_film = beside.film and kind in (Format.JPEG, Format.HEIC)
    if seen.metadata.facts.content_identifier or has_film:
        yield FILM
    if seen.header.unusual:
        yield seen.header.unusual
    if min(seen.header.width, seen.header.height) < SMALLEST_PIXELS:
        yield f"too small ({seen.header.width} x {seen.header.height} pixels)"
    yield from _from_elsewhere(kind, seen.header, seen.metadata, packet)
    yield from uncarried.behind(file, kind)


def _unturnable(seen: Inspection, packet: Packet, sidecars: Mapping[str, bytes]) -> Iterator[str]:
    """Yield what of the packet and the sidecars would be wrong beside an upright copy."""
    turned = seen.orientation != 1
    if turned and (kept := unturnable(packet)) is not None:
        yield f"it carries {kept}"
    yield from sidecar.faults(sidecars, turned=turned)


def _animated(file: BinaryIO, kind: Format) -> Iterator[str]:
    match kind:
        case Format.PNG if any(chunk.kind == b"acTL" for chunk in png.chunks(file)):
            yield "an animated PNG"
        case Format.WEBP if webp.header(file).flags & webp.ANIMATED:
            yield "an animated WebP"


def _has_film(photo: Beneath) -> bool:
    """Return whether a film has the photo's name, as Live photos and their exports have."""
    googles = [photo.with_suffix("")] if photo.relative.stem.lower().endswith(".mp") else []
    return any(film.exists() for film in (*map(photo.with_suffix, _FILMS), *googles))


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
