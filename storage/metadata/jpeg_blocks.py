"""The metadata of a JPEG: which segments hold what, in several pieces where one is too small."""

from collections.abc import Sequence
from typing import NamedTuple

from storage.formats.containers import exif, jpeg
from storage.formats.turn import TRANSPOSED, Turn
from storage.metadata import extended_xmp, icc_profile, photoshop, xmp

XMP = xmp.JPEG_PREFIX
ICC = b"ICC_PROFILE\0"
_PHOTOSHOP = photoshop.JPEG_PREFIX
_JFIF_BYTES = 14
_ICC_HEADER = len(ICC) + 2
_APP1, _APP2, _APP13 = 0xE1, 0xE2, 0xED

Segments = Sequence[tuple[int, bytes]]
"""Marker and body of each."""


class Blocks(NamedTuple):
    """The metadata in the segments of a JPEG."""

    exif: bytes
    """As the segments hold it: a TIFF, maybe damaged."""
    xmp: bytes
    """With what the extended XMP says."""
    icc: bytes
    kept: tuple[tuple[int, bytes], ...]
    """JFIF, comments, and Photoshop with IPTC but without thumbnails, joined to one body of any length."""
    dropped: tuple[str, ...]
    """What was dropped because it is damaged."""
    unreadable: str
    """Why the extended XMP cannot be read; "" if it can or is missing."""


def read(parts: Segments) -> Blocks:
    """Return what the segments before the first scan hold."""
    dropped: list[str] = []
    app1 = [body for marker, body in parts if marker == _APP1]
    packets = [body.removeprefix(XMP) for body in app1 if body.startswith(XMP)]
    further = [body for body in app1 if body.startswith(extended_xmp.PREFIX)]
    packet, unreadable = extended_xmp.united(packets, further)
    block = _exif([body for body in app1 if body.startswith(exif.PREFIX)], dropped)
    return Blocks(block, packet, _icc(parts), _kept(parts), tuple(dropped), unreadable)


def _exif(bodies: list[bytes], dropped: list[str]) -> bytes:
    """Return a block that may lie in several segments, of which only the first has a header."""
    pieces = [body.removeprefix(exif.PREFIX) for body in bodies]
    begins = [number for number, piece in enumerate(pieces) if exif.bare(piece)]
    if not begins:
        dropped += ["an EXIF block without a header"] * bool(pieces)
        return b""
    if len(begins) > 1:
        dropped.append("a second EXIF block")
    stop = begins[1] if len(begins) > 1 else len(pieces)
    return b"".join(pieces[begins[0] : stop])


def _icc(parts: Segments) -> bytes:
    """Return a profile of all its pieces; one that lacks a piece is cut there.

    Pieces whose numbers give no whole profile are taken in the order of the file.
    """
    bodies = [body for marker, body in parts if marker == _APP2 and body.startswith(ICC)]
    pieces: dict[int, bytes] = {}
    for body in (body for body in bodies if len(body) > _ICC_HEADER):
        pieces.setdefault(body[_ICC_HEADER - 2], body[_ICC_HEADER:])
    made = b""
    for number in sorted(pieces):
        if pieces.keys() >= set(range(1, number + 1)):
            made += pieces[number]
    joined = b"".join(body[_ICC_HEADER:] for body in bodies)
    return made if icc_profile.is_whole(made) and made else joined


def _kept(parts: Segments) -> tuple[tuple[int, bytes], ...]:
    kept = [
        (marker, body) for marker, body in parts if marker == jpeg.COM or jpeg.is_jfif(marker, body)
    ]
    resources = b"".join(
        body.removeprefix(_PHOTOSHOP)
        for marker, body in parts
        if marker == _APP13 and body.startswith(_PHOTOSHOP)
    )
    if resources:
        kept.append((_APP13, _PHOTOSHOP + photoshop.without_thumbnail(resources)))
    return tuple(kept)


def turned(kept: Segments, turn: Turn) -> tuple[tuple[int, bytes], ...]:
    """Return the kept segments with the resolutions of the turned image."""
    return tuple((marker, _turned(marker, body, turn)) for marker, body in kept)


def _turned(marker: int, body: bytes, turn: Turn) -> bytes:
    if marker == jpeg.APP0 and turn.orientation in TRANSPOSED:
        return body[:8] + body[10:12] + body[8:10] + body[12:]
    if body.startswith(_PHOTOSHOP):
        return _PHOTOSHOP + photoshop.turned(body.removeprefix(_PHOTOSHOP), turn)
    return body


def segments(
    exif_block: bytes, packet: bytes, icc: bytes, kept: Segments, jfif: bytes
) -> list[tuple[int, bytes]]:
    """Return the segments in order: JFIF, EXIF, XMP, ICC, then the others as they were.

    `jfif` is the header of the newly coded image; the one of the source takes its place.

    Raises:
        ValueError: the profile is too large for a JPEG.

    """
    own = [body for marker, body in kept if marker == jpeg.APP0]
    jfif = own[0][:12] + b"\0\0" if own and len(own[0]) >= _JFIF_BYTES else jfif
    parts = [(jpeg.APP0, jfif)] if jfif else []
    parts += [(_APP1, exif.PREFIX + piece) for piece in _exif_pieces(exif_block)]
    if packet:
        main, further = extended_xmp.split(packet)
        parts += [(_APP1, XMP + main), *((_APP1, body) for body in further)]
    room = jpeg.MOST_BYTES - _ICC_HEADER
    pieces = [icc[at : at + room] for at in range(0, len(icc), room)]
    parts += [
        (_APP2, ICC + bytes((number, len(pieces))) + piece)
        for number, piece in enumerate(pieces, 1)
    ]
    for marker, body in kept:
        if marker == _APP13:
            parts += [(marker, piece) for piece in photoshop.pieces(body, jpeg.MOST_BYTES)]
        elif marker != jpeg.APP0:
            parts.append((marker, body))
    return parts


def _exif_pieces(block: bytes) -> list[bytes]:
    """Return a block in pieces of which only the first begins like one."""
    pieces, at, room = [], 0, jpeg.MOST_BYTES - len(exif.PREFIX)
    while at < len(block):
        size = room
        while exif.bare(block[at + size : at + size + 4]):
            size -= 1
        pieces.append(block[at : at + size])
        at += size
    return pieces
