"""WebP: chunks in a RIFF (RFC 9649)."""

from collections.abc import Iterator, Mapping
from typing import BinaryIO, NamedTuple

from storage.formats.containers import Budget, Malformed, end, take

IMAGE = (b"ALPH", b"VP8 ", b"VP8L", b"ANIM", b"ANMF")
"""Chunks of the coded image."""
ICC, ALPHA, EXIF, XMP, ANIMATED = 0x20, 0x10, 0x08, 0x04, 0x02
"""Flags of VP8X."""
METADATA = {b"ICCP": ICC, b"EXIF": EXIF, b"XMP ": XMP}
ODD_XMP = b"XMP\0"
"""The kind that some programs give to a chunk of XMP."""


class Chunk(NamedTuple):
    """One chunk; its data begins at `body`."""

    kind: bytes
    body: int
    length: int


class Header(NamedTuple):
    """The contents of the first chunk."""

    width: int
    height: int
    flags: int
    """Flags of VP8X; 0 without one."""
    lossless: bool


def chunks(file: BinaryIO) -> Iterator[Chunk]:
    """Yield all chunks.

    Raises:
        Malformed: it is no WebP, or breaks off.

    """
    head = take(file, 0, 12)
    if head[:4] != b"RIFF" or head[8:] != b"WEBP":
        raise Malformed("no WebP")
    at, stop = 12, 8 + int.from_bytes(head[4:8], "little")
    if stop > end(file) + 1:  # some writers forget the last padding byte
        raise Malformed("it breaks off")
    budget = Budget(stop)
    while at + 8 <= stop:
        budget.spend()
        kind, length = (data := take(file, at, 8))[:4], int.from_bytes(data[4:], "little")
        if at + 8 + length > end(file):
            raise Malformed("a chunk breaks off")
        yield Chunk(kind, at + 8, length)
        at += 8 + length + length % 2


def header(file: BinaryIO) -> Header:
    """Return size and flags without decoding."""
    found = list(chunks(file))
    kinds = [chunk.kind for chunk in found]
    if not found:
        raise Malformed("it has no image")
    first = take(file, found[0].body, min(10, found[0].length)).ljust(10, b"\0")
    lossless = b"VP8L" in kinds
    match kinds[0]:
        case b"VP8X":
            width, height = (int.from_bytes(first[at : at + 3], "little") + 1 for at in (4, 7))
            return Header(width, height, first[0], lossless)
        case b"VP8L":
            bits = int.from_bytes(first[1:5], "little")
            alpha = ALPHA if bits >> 28 & 1 else 0
            return Header((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, alpha, True)
        case b"VP8 ":
            width, height = (int.from_bytes(first[at : at + 2], "little") & 0x3FFF for at in (6, 8))
            return Header(width, height, 0, False)
        case other:
            raise Malformed(f"it begins with {other!r}")


def metadata(file: BinaryIO) -> dict[bytes, bytes]:
    """Return the chunks ICCP, EXIF and XMP; of several of a kind the first."""
    found: dict[bytes, bytes] = {}
    for chunk in chunks(file):
        kind = b"XMP " if chunk.kind == ODD_XMP else chunk.kind
        if kind in METADATA and kind not in found:
            found[kind] = take(file, chunk.body, chunk.length)
    return found


def coded(file: BinaryIO) -> Iterator[Chunk]:
    """Yield the chunks of the coded image."""
    return (chunk for chunk in chunks(file) if chunk.kind in IMAGE)


def splice(file: BinaryIO, parts: Mapping[bytes, bytes]) -> bytes:
    """Return the coded image with these ICCP, EXIF and XMP chunks, and no others."""
    image = header(file)
    flags = image.flags & (ALPHA | ANIMATED)
    flags |= sum(METADATA[kind] for kind, data in parts.items() if data)
    size = b"".join((side - 1).to_bytes(3, "little") for side in (image.width, image.height))
    made = [_build(b"VP8X", bytes((flags, 0, 0, 0)) + size)]
    made += [_build(b"ICCP", icc)] if (icc := parts.get(b"ICCP")) else []
    made += [_build(kind, take(file, body, length)) for kind, body, length in coded(file)]
    made += [_build(kind, parts[kind]) for kind in (b"EXIF", b"XMP ") if parts.get(kind)]
    body = b"WEBP" + b"".join(made)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def _build(kind: bytes, data: bytes) -> bytes:
    return kind + len(data).to_bytes(4, "little") + data + b"\0" * (len(data) % 2)
