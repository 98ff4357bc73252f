"""Items and boxes of HEIC and AVIF."""

from collections.abc import Iterator
from typing import BinaryIO

from storage.formats.containers import Budget, end, isobmff, take
from storage.formats.containers.isobmff import Container
from storage.formats.detect import Format
from storage.uncarried import samsung, words

_PICTURES = frozenset(("hvc1", "hvc2", "av01", "grid", "iovl", "iden", "jpeg"))
_BOXES = frozenset((b"ftyp", b"meta", b"mdat", b"free", b"skip", b"wide"))
_KNOWN_BOXES = {b"mpvd": words.FILM}
_MANIFEST = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
"""The UUID of a box with a C2PA manifest."""
_XMP = "application/rdf+xml"


def reasons(file: BinaryIO, kind: Format) -> Iterator[str]:
    """Yield what a HEIC or AVIF has that a copy would lack."""
    found = isobmff.read(file)
    if found.brands & {b"avis", b"hevc", b"hevx", b"msf1"} or b"moov" in found.boxes:
        yield f"a film or animation in {kind}"
    if found.find("tmap") is not None:
        yield words.GAIN
    yield from _auxiliaries(found)
    if len(_independent(found)) > 1:
        yield f"several images in one {kind}"
    for item in found.items.values():
        known = item.kind in _PICTURES or item.kind == isobmff.EXIF
        if not known and not (item.kind == isobmff.XMP and item.content == _XMP):
            yield words.part(f"the item {words.shown(item.kind.encode('latin-1'))}")
    yield from _boxes(file)


def _independent(found: Container) -> set[int]:
    """Return the items that are pictures by themselves: no tiles, thumbnails, auxiliary images."""
    coded = {number for number, item in found.items.items() if item.kind in _PICTURES}
    parts = {
        number
        for kind, source, targets in found.references
        for number in (targets if kind == "dimg" else (source,) if kind in ("thmb", "auxl") else ())
    }
    return coded - parts | {found.primary}


def _auxiliaries(found: Container) -> Iterator[str]:
    for name in found.auxiliaries():
        if "alpha" in name or name.endswith("auxid:1"):
            continue
        if "hdrgainmap" in name or "21496" in name:
            yield words.GAIN
        elif "depth" in name or name.endswith("auxid:2"):
            yield words.DEPTH
        else:
            yield f"it carries a further image ({name[:40]}), which would be lost"


def _boxes(file: BinaryIO) -> Iterator[str]:
    for box in isobmff.boxes(file, 0, end(file), Budget(end(file))):
        if box.kind in _BOXES:
            continue
        if box.kind == b"uuid" and take(file, box.body, min(16, box.length)) == _MANIFEST:
            continue
        if box.kind == b"sefd":
            start, found = samsung.trailer(take(file, box.body, box.length))
            yield from found
            if start < box.length:
                continue
        yield _KNOWN_BOXES.get(box.kind, words.part(f"the box {words.shown(box.kind)}"))
