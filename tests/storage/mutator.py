"""Change photo files at random: bits, and the pieces of their containers.

`python tests/storage/mutator.py SEED_FILE… NUMBER` writes the file of a case again.
"""

import io
import random
import struct
import sys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from storage.formats.containers import Budget, Malformed, isobmff, jpeg, png, webp

Pieces = list[bytes]
_ODD = (0, 1, 2, 7, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF)
"""Numbers that programs do not expect."""


def changed(seeds: Sequence[bytes], number: int) -> tuple[int, bytes]:
    """Return the file of a case, and which of the seeds it was made of."""
    chance = random.Random(number)
    at = chance.randrange(len(seeds))
    data = seeds[at]
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        data = chance.choice(_CHANGES)(chance, data, chance.choice(seeds))
    return at, data


def _flip(chance: random.Random, data: bytes, _: bytes) -> bytes:
    made = bytearray(data)
    reach = chance.choice((64, 1024, len(made)))
    for _ in range(chance.choice((1, 2, 8))):
        made[chance.randrange(min(len(made), reach))] ^= 1 << chance.randrange(8)
    return bytes(made)


def _cut(chance: random.Random, data: bytes, _: bytes) -> bytes:
    return data[: chance.randrange(1, len(data) + 1)]


def _remove(chance: random.Random, data: bytes, _: bytes) -> bytes:
    start = chance.randrange(len(data))
    return data[:start] + data[start + chance.choice((1, 2, 12, 100)) :] or b"\0"


def _fill(chance: random.Random, data: bytes, _: bytes) -> bytes:
    start, made = chance.randrange(len(data)), bytearray(data)
    part = made[start : start + chance.choice((1, 4, 64, 4096))]
    made[start : start + len(part)] = chance.choice((b"\0", b"\xff", b"A")) * len(part)
    return bytes(made)


def _number(chance: random.Random, data: bytes, _: bytes) -> bytes:
    """Write an odd number of 2 or 4 bytes somewhere, mostly near the beginning."""
    made, width = bytearray(data), chance.choice((2, 4))
    order = chance.choice(("little", "big"))
    value = chance.choice(_ODD) & (1 << 8 * width) - 1
    start = chance.randrange(min(len(made), chance.choice((64, 1024, len(made)))))
    made[start : start + width] = value.to_bytes(width, "little" if order == "little" else "big")
    return bytes(made)


def _text(chance: random.Random, data: bytes, _: bytes) -> bytes:
    """Break a name or an end of XML, or write XMP in other letters."""
    broken = (
        (b"rdf:", b"rdg:"), (b"</", b"<"), (b'"', b"'"), (b"xmlns:", b"xmlms:"), (b">", b">\0"),
        (b"Rating", b"R\xe4ting"), (b"&amp;", b"&"), (b"xmp:", b"dc:"), (b"8BIM", b"8BIN"),
        (b"Exif\0\0", b"Exif\0\1"), (b"II*\0", b"MM\0*"), (b"MM\0*", b"II*\0"),
    )  # fmt: skip
    old, new = chance.choice([pair for pair in broken if pair[0] in data] or [(b"\0", b"\1")])
    return data.replace(old, new, chance.choice((1, 2, -1)))


def _rearranged(change: Callable[[random.Random, Pieces, Pieces], None]):  # type: ignore[no-untyped-def]
    """Return a change of the bytes from a change of their pieces."""

    def made(chance: random.Random, data: bytes, other: bytes) -> bytes:
        pieces, others = pieces_of(data), pieces_of(other)
        change(chance, pieces, others)
        whole = b"".join(pieces)
        if whole[:8] == png.SIGNATURE and chance.random() < 0.7:
            whole = _with_checksums(whole)
        return whole or b"\0"

    return made


def _double(chance: random.Random, pieces: Pieces, _: Pieces) -> None:
    at = chance.randrange(len(pieces))
    pieces[at:at] = [pieces[at]] * chance.choice((1, 1, 5, 300))


def _drop(chance: random.Random, pieces: Pieces, _: Pieces) -> None:
    del pieces[chance.randrange(len(pieces))]


def _swap(chance: random.Random, pieces: Pieces, _: Pieces) -> None:
    one, other = chance.randrange(len(pieces)), chance.randrange(len(pieces))
    pieces[one], pieces[other] = pieces[other], pieces[one]


def _splice(chance: random.Random, pieces: Pieces, others: Pieces) -> None:
    pieces.insert(chance.randrange(len(pieces) + 1), chance.choice(others))


def _nest(chance: random.Random, pieces: Pieces, others: Pieces) -> None:
    at, inner = chance.randrange(len(pieces)), b"".join(others[:8])[:60_000]
    middle = chance.randrange(len(pieces[at]) + 1)
    pieces[at] = pieces[at][:middle] + inner + pieces[at][middle:]


def _flip_piece(chance: random.Random, pieces: Pieces, _: Pieces) -> None:
    at = chance.randrange(len(pieces))
    pieces[at] = _flip(chance, pieces[at] or b"\0", b"")


def _number_in_piece(chance: random.Random, pieces: Pieces, _: Pieces) -> None:
    at = chance.randrange(len(pieces))
    pieces[at] = _number(chance, pieces[at] or b"\0", b"")


_CHANGES = (
    _flip, _cut, _remove, _fill, _number, _text, _text,
    *map(_rearranged, (_double, _drop, _swap, _splice, _nest, _flip_piece, _number_in_piece)),
)  # fmt: skip


def pieces_of(data: bytes) -> Pieces:
    """Return the segments, chunks or boxes of a file; a TIFF's and what is broken in four parts."""
    file = io.BytesIO(data)
    try:
        if data[:2] == b"\xff\xd8":
            ends = [segment.stop for segment in jpeg.segments(file)]
        elif data[:8] == png.SIGNATURE:
            ends = [8, *(chunk.body + chunk.length + 4 for chunk in png.chunks(file))]
        elif data[:4] == b"RIFF":
            ends = [12, *(chunk.body + chunk.length for chunk in webp.chunks(file))]
        elif data[4:8] == b"ftyp":
            ends = [box.stop for box in isobmff.boxes(file, 0, len(data), Budget(0))]
            if data[ends[0] + 4 : ends[0] + 8] == b"meta":
                inner = isobmff.boxes(file, ends[0] + 12, ends[1], Budget(0))
                ends = sorted({*ends, *(box.stop for box in inner), ends[0] + 12})
        else:
            ends = [len(data) * part // 4 for part in (1, 2, 3)]
    except (Malformed, IndexError):
        ends = [len(data) * part // 4 for part in (1, 2, 3)]
    starts = [0, *ends]
    return [data[start:stop] for start, stop in zip(starts, [*ends, len(data)], strict=True)]


def _with_checksums(data: bytes) -> bytes:
    """Return a PNG with the right checksum of each chunk."""
    made, at = [png.SIGNATURE], 8
    while at + 12 <= len(data):
        stop = at + 8 + int.from_bytes(data[at : at + 4], "big")
        body = data[at + 4 : stop]
        made += [data[at : at + 4], body, struct.pack(">I", zlib.crc32(body))]
        at = stop + 4
    return b"".join(made) + data[at:]


if __name__ == "__main__":
    *names, chosen = sys.argv[1:]
    sys.stdout.buffer.write(changed([Path(name).read_bytes() for name in names], int(chosen))[1])
