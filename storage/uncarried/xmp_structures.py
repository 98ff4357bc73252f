"""XMP that states a further image, a film or sound: namespaces and structures, never words."""

from collections.abc import Iterator

from storage.metadata import xmp
from storage.metadata.blocks import Metadata
from storage.metadata.xmp import NAMESPACES, Packet
from storage.uncarried import words

_GOOGLE = "http://ns.google.com/photos/"
_SPACES = {
    NAMESPACES["hdrgm"]: words.GAIN,
    NAMESPACES["HDRGainMap"]: words.GAIN,
    NAMESPACES["GDepth"]: words.DEPTH,
    NAMESPACES["Device"]: words.DEPTH,
    NAMESPACES["GImage"]: words.SECOND,
    _GOOGLE + "1.0/audio/": words.SOUND,
}
_SEMANTICS = {
    "Primary": None, "Thumbnail": None, "Preview": None, "GainMap": words.GAIN,
    "Depth": words.DEPTH, "MotionPhoto": words.FILM,
}  # fmt: skip
"""What the items of Google's containers are; None for what may be dropped."""


def reasons(metadata: Metadata) -> Iterator[str]:
    """Yield what the packet says that the file holds beside the picture."""
    if wrong := metadata.unreadable or xmp.fault(metadata.xmp):
        yield f"it may carry what would be lost: {wrong}"
    packet = xmp.parse_or_empty(metadata.xmp)
    names = {key for part in packet.root.iter() for key in (part.tag, *part.attrib)}
    spaces = {full[1:].partition("}")[0] for full in names}
    yield from (reason for space, reason in _SPACES.items() if space in spaces)
    for semantic in _semantics(packet):
        if (reason := _SEMANTICS.get(semantic, words.part(semantic[:40]))) is not None:
            yield reason
    if any(packet.text(f"GCamera:{name}") == "1" for name in ("MotionPhoto", "MicroVideo")):
        yield words.FILM


def _semantics(packet: Packet) -> Iterator[str]:
    """Yield what each item of a container is."""
    for part in packet.root.iter():
        for full, value in ((part.tag, part.text or ""), *part.attrib.items()):
            if full.startswith("{" + _GOOGLE) and full.endswith("}Semantic"):
                yield value.strip()
