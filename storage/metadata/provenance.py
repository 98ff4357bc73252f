"""The provenance in a mended copy: its source, what was done, and by which program.

Written as XMP in the words of IPTC and Adobe, and in a namespace of our own from which a lost
database is rebuilt. A copy is given away more often than its source, so it holds no name of a folder.
"""

import hashlib
import os
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from storage.metadata import xmp
from storage.metadata.xmp import Packet, name

_SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
ENHANCED = _SOURCE_TYPES + "algorithmicallyEnhanced"
GENERATIVE = _SOURCE_TYPES + "compositeWithTrainedAlgorithmicMedia"


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """The provenance of a mended copy."""

    place: str
    """Where the source is, as `place_of` gives it."""
    content_hash: str
    """Content hash of the source."""
    job_id: int
    claim: int
    category: str
    software: str
    """Name and version: "photomend 0.1.0"."""
    generative: bool
    """Whether a step may have invented content."""
    mended_at: datetime
    steps: str
    """The steps of the restoration, in a short text."""
    image_hash: str = ""
    """Content hash of the copy; set when the copy is written."""
    orientation: int = 1
    """EXIF orientation of the source, 1 to 8; set when the copy is written."""


def place_of(gallery: str, source: Path) -> str:
    """Return the SHA-256 of a gallery's name and of a photo's path in it."""
    return hashlib.sha256(os.fsencode(gallery) + b"\0" + os.fsencode(source)).hexdigest()


def stamp(packet: Packet, provenance: Provenance) -> None:
    """Write the provenance into the source's packet.

    The source's own tools and dates (xmp:CreatorTool, exif:DateTimeOriginal) are not touched.
    """
    when = provenance.mended_at.isoformat(timespec="seconds")
    document, instance = packet.text("xmpMM:DocumentID"), packet.text("xmpMM:InstanceID")
    original = packet.text("xmpMM:OriginalDocumentID") or document
    fresh = xmp.new_id("iid")
    packet.set("xmpMM:DocumentID", xmp.new_id("did"))
    packet.set("xmpMM:InstanceID", fresh)
    if original:
        packet.set("xmpMM:OriginalDocumentID", original)
    _derive(packet, document, instance, original)
    packet.append("xmpMM:History", _event(provenance, when, fresh))
    packet.set("xmp:MetadataDate", when)
    packet.set("xmp:ModifyDate", when)
    kind = GENERATIVE if provenance.generative else ENHANCED
    packet.set("Iptc4xmpExt:DigitalSourceType", kind)
    if provenance.generative:
        system, _, version = provenance.software.partition(" ")
        packet.set("Iptc4xmpExt:AISystemUsed", system)
        packet.set("Iptc4xmpExt:AISystemVersionUsed", version)
    for field in fields(Provenance):
        packet.set(_own(field.name), _encode(getattr(provenance, field.name)))
    for old in ("gallery", "source"):
        packet.remove(name(_own(old)))


def of(packet: Packet) -> Provenance | None:
    """Return the provenance that a packet holds, None if photomend did not write it."""
    try:
        values: dict[str, Any] = {}
        for field in fields(Provenance):
            text = packet.text(_own(field.name))
            if text is not None:
                values[field.name] = _decode(field.type, text)
            elif field.name == "place":
                values["place"] = _old_place(packet)
            elif field.default is MISSING:
                return None
        return Provenance(**values)
    except ValueError:
        return None


def _old_place(packet: Packet) -> str:
    """Return the place of the source as copies state it that hold the names themselves.

    Raises:
        ValueError: it states none.

    """
    gallery, source = (packet.text(_own(old)) for old in ("gallery", "source"))
    if gallery is None or source is None:
        raise ValueError("photomend did not write this packet")
    return place_of(_name(gallery), Path(_name(source)))


def _derive(
    packet: Packet, document: str | None, instance: str | None, original: str | None
) -> None:
    """Record the document that this one was made from, if it has an id."""
    derived = packet.put("xmpMM:DerivedFrom")
    known = {"documentID": document, "instanceID": instance, "originalDocumentID": original}
    found = {key: value for key, value in known.items() if value}
    if not found:
        packet.remove(name("xmpMM:DerivedFrom"))
        return
    derived.set(name("rdf:parseType"), "Resource")
    for key, value in found.items():
        part = derived.makeelement(name(f"stRef:{key}"), {})
        part.text = value
        derived.append(part)


def _event(provenance: Provenance, when: str, instance: str) -> dict[str, str]:
    return {
        "stEvt:action": "edited",
        "stEvt:when": when,
        "stEvt:softwareAgent": provenance.software,
        "stEvt:instanceID": instance,
        "stEvt:changed": "/",
        "stEvt:parameters": f"{provenance.category}: {provenance.steps}",
    }


def _own(field: str) -> str:
    """Return the XMP property of a field: job_id → photomend:PhotomendJobId.

    The name has the prefix, too: readers that ignore it would take ours for the photo's Orientation
    or Software.
    """
    return "photomend:Photomend" + field.title().replace("_", "")


def _encode(value: object) -> str:
    """Return a value as XML text; a name may hold bytes that are not UTF-8 or printable."""
    match value:
        case datetime():
            return value.isoformat(timespec="seconds")
        case str():
            return quote(os.fsencode(value), safe=" !#$&'()*+,/:;=?@[]^`{|}")
        case _:
            return str(value)


def _decode(kind: object, text: str) -> object:
    if kind is bool:
        return text == "True"
    if kind is int:
        return int(text)
    if kind is datetime:
        return datetime.fromisoformat(text)
    return _name(text)


def _name(text: str) -> str:
    return os.fsdecode(unquote_to_bytes(text))
