"""Which photos are left alone, and why: a copy would lose something, or nobody wants one.

RAW and animated files; what has a part that a copy cannot carry (`storage/uncarried`) or a sidecar that
cannot be read; the photo of a film; screenshots, chat pictures, others' edits and our own results.
A reason that protects the owner's data always holds. One that guesses what the owner wants does not
hold where a rule of the settings allows such photos, or the owner asked for this one.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from storage import jail, uncarried
from storage.beneath import Beneath
from storage.enums import Allowed
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
SMALL = "small"
"""What only the owner allows, who asks for one photo."""
ASKED_FOR: tuple[str, ...] = (*Allowed, SMALL)
"""All that is allowed for a photo that the owner asked for."""
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


class _Reason(NamedTuple):
    text: str
    guess: str = ""
    """What allows the photo all the same; empty where the reason protects the owner's data."""

    def holds(self, allowed: Collection[str]) -> bool:
        """Return whether the photo is left alone, where these are allowed."""
        return self.guess not in allowed


@dataclass(frozen=True)
class Beside:
    """What lies beside a photo."""

    film: bool
    """Whether a film has its name."""
    sidecars: Mapping[str, bytes]
    """Its sidecars, by name."""


def left_alone(seen: Inspection, allowed: Collection[str] = ()) -> str | None:
    """Return why a photo is left alone, in a few words; None if it may be mended.

    `allowed` are guesses that do not hold, of `ASKED_FOR`. A file that has too many bytes or is no
    photo has no reason here: `photos.read` refuses it.

    Raises:
        UnreadablePhoto: it is no regular file, empty or broken.
        OSError: the disk or the share does not give it.

    """
    if named := by_name(seen.path.path, allowed):
        return named
    if seen.source_bytes > seen.limits.max_bytes:
        return None
    beside = Beside(_has_film(seen.path), sidecar.beside(seen.path))
    return jail.run(by_content, seen, beside, tuple(map(str, allowed)))


def by_content(seen: Inspection, beside: Beside, allowed: tuple[str, ...]) -> str | None:
    """Return why a photo is left alone because of its content or what lies beside it."""
    with seen.reading() as file:
        reasons = _reasons(seen, beside, file)
        return next((reason.text for reason in reasons if reason.holds(allowed)), None)


def by_name(path: Path, allowed: Collection[str] = ()) -> str | None:
    """Return why a file is left alone because of its name; None if the name allows it."""
    reasons = _named(path)
    return next((reason.text for reason in reasons if reason.holds(allowed)), None)


def _named(path: Path) -> Iterator[_Reason]:
    suffix = path.suffix.lower()
    if suffix in RAW:
        yield _Reason("a RAW file, which photomend does not handle")
    if suffix in OTHERS:
        yield _Reason(f"a {OTHERS[suffix]} file, which photomend does not handle")
    if _SCREENSHOT_NAMES.search(path.stem) or any(map(_SCREENSHOT_NAMES.search, path.parts[:-1])):
        yield _Reason("a screenshot, by its name or folder", Allowed.SCREENSHOTS)
    if _CHAT_NAMES.search(path.stem) or any(map(_CHAT_NAMES.search, path.parts[:-1])):
        yield _Reason("a picture from WhatsApp, by its name or folder", Allowed.CHATS)
    if _EDIT_NAMES.search(path.stem):
        yield _Reason("an edit or export of another program, by its name", Allowed.EDITS)


def _reasons(seen: Inspection, beside: Beside, file: BinaryIO) -> Iterator[_Reason]:
    """Yield the reasons that the content gives; the last check reads the whole file."""
    kind = seen.sniffed
    if isinstance(kind, str) and not isinstance(kind, Format):
        yield _Reason(f"a {kind} file by its content, which photomend does not handle")
    if not isinstance(kind, Format):
        return
    packet = xmp.parse_or_empty(seen.metadata.xmp)
    yield from map(_Reason, _protecting(seen, beside, file, kind, packet))
    if min(seen.header.width, seen.header.height) < SMALLEST_PIXELS:
        size = f"{seen.header.width} x {seen.header.height}"
        yield _Reason(f"too small ({size} pixels)", SMALL)
    yield from _from_elsewhere(kind, seen.header, seen.metadata, packet)
    yield from map(_Reason, uncarried.behind(file, kind))


def _protecting(
    seen: Inspection, beside: Beside, file: BinaryIO, kind: Format, packet: Packet
) -> Iterator[str]:
    """Yield what a copy would lose or get wrong."""
    yield from _animated(file, kind)
    if provenance.of(packet) is not None:
        yield "photomend made it"
    yield from uncarried.reasons(seen, file, kind)
    yield from _unturnable(seen, packet, beside.sidecars)
    has_film = beside.film and kind in (Format.JPEG, Format.HEIC)
    if seen.metadata.facts.content_identifier or has_film:
        yield FILM
    if seen.header.unusual:
        yield seen.header.unusual


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
) -> Iterator[_Reason]:
    """Yield a reason if its size is that of a screen, or its metadata name an editor."""
    facts: exif.Facts = found.facts
    if facts.comment.strip() == "Screenshot":
        yield _Reason("a screenshot, by its comment", Allowed.SCREENSHOTS)
    if not facts.make and is_screen(header.width, header.height, kind):
        size = f"{header.width} x {header.height}"
        text = f"a screenshot, by its size ({size}) without a camera's name"
        yield _Reason(text, Allowed.SCREENSHOTS)
    tools = (facts.software, packet.text("xmp:CreatorTool") or "")
    for tool in tools:
        if _EDITORS.search(tool):
            text = f"an edit or export of {xmp.clean_text(tool)[:60]}"
            yield _Reason(text, Allowed.EDITS)
