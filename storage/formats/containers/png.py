"""PNG: a sequence of chunks (W3C Portable Network Graphics, third edition)."""

import zlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

from storage.formats.containers import Budget, Malformed, end, take

SIGNATURE = b"\x89PNG\r\n\x1a\n"
IMAGE = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"acTL", b"fcTL", b"fdAT")
"""Chunks of the coded image."""
METADATA_BYTES = 16 << 20
"""Maximum size in bytes of a chunk of metadata that is copied."""


class Chunk(NamedTuple):
    """One chunk; its data begins at `body`."""

    kind: bytes
    body: int
    length: int


class Header(NamedTuple):
    """The contents of IHDR."""

    width: int
    height: int
    bits: int
    colour: int
    """0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGB with alpha."""


def chunks(file: BinaryIO) -> Iterator[Chunk]:
    """Yield all chunks up to and including IEND; a truncated file has no IEND."""
    if take(file, 0, 8) != SIGNATURE:
        raise Malformed("no PNG")
    at, size = 8, end(file)
    budget = Budget(size)
    while at + 12 <= size:
        budget.spend()
        head = take(file, at, 8)
        chunk = Chunk(head[4:], at + 8, int.from_bytes(head[:4], "big"))
        if not chunk.kind.isalpha():
            raise Malformed(f"no chunk at {at}")
        at = chunk.body + chunk.length + 4
        if at > size:
            return
        yield chunk
        if chunk.kind == b"IEND":
            return


def header(file: BinaryIO) -> Header:
    """Return the contents of IHDR."""
    data = take(file, 8, 25)
    if data[4:8] != b"IHDR":
        raise Malformed("it does not begin with IHDR")
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (8, 12))
    return Header(width, height, data[16], data[17])


def is_whole(file: BinaryIO) -> bool:
    """Return whether the file is complete up to IEND and the checksums of the image are right."""
    for chunk in chunks(file):
        if chunk.kind == b"IEND":
            return True
        if chunk.kind in IMAGE:
            data = take(file, chunk.body - 4, chunk.length + 8)
            if zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "big"):
                raise Malformed(f"the checksum of {chunk.kind.decode()} is wrong")
    return False


def metadata(file: BinaryIO) -> list[tuple[bytes, bytes]]:
    """Return kind and data of each chunk that is not part of the image."""
    return [
        (chunk.kind, take(file, chunk.body, chunk.length))
        for chunk in chunks(file)
        if chunk.kind not in (*IMAGE, b"IEND") and chunk.length <= METADATA_BYTES
    ]


def coded(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, offset and length of each chunk of the coded image."""
    for chunk in chunks(file):
        if chunk.kind in IMAGE:
            yield chunk


def splice(file: BinaryIO, parts: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Return the coded image with these chunks as its only metadata, before palette and pixels."""
    made = [SIGNATURE]
    for kind, body, length in coded(file):
        made.append(take(file, body - 8, length + 12))
        if kind == b"IHDR":
            made += [build(*part) for part in parts]
    return b"".join([*made, build(b"IEND", b"")])


def build(kind: bytes, data: bytes) -> bytes:
    """Return a chunk."""
    return b"".join(
        (len(data).to_bytes(4, "big"), kind, data, zlib.crc32(kind + data).to_bytes(4, "big"))
    )
