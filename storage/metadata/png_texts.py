"""Texts in a PNG: read them, and turn their notes of orientation, size and resolution."""

import zlib
from typing import NamedTuple

from storage.formats.containers import Budget, Malformed
from storage.formats.turn import TRANSPOSED, Turn

Chunk = tuple[bytes, bytes]
"""Kind and data."""
TEXT_BYTES = 16 << 20
"""Maximum size in bytes of all decompressed texts of a file."""
_ORIENTATIONS = ("exif:orientation", "tiff:orientation")
"""Keys, in lower case, by which ImageMagick turns a photo."""
_SIDES = {
    "imagewidth": 0, "exifimagewidth": 0, "pixelxdimension": 0, "imagelength": 1,
    "imageheight": 1, "exifimagelength": 1, "exifimageheight": 1, "pixelydimension": 1,
}  # fmt: skip
"""Last words of keys of widths (0) and heights (1)."""
_OTHER = {b"X": b"Y", b"x": b"y", b"Y": b"X", b"y": b"x"}


class Text(NamedTuple):
    """A text, with the bytes that its chunk has before it."""

    key: str
    before: bytes
    value: bytes
    compressed: bool

    @property
    def word(self) -> str:
        """The last word of the key, in lower case: "orientation" of "exif:Orientation"."""
        return self.key.rpartition(":")[2].lower()

    def data(self, value: bytes, before: bytes | None = None) -> bytes:
        """Return the chunk's data with another value."""
        begin = self.before if before is None else before
        return begin + (zlib.compress(value) if self.compressed else value)


def room() -> Budget:
    """Return what the compressed texts of a file may take in one walk over them."""
    return Budget(TEXT_BYTES)


def read(kind: bytes, data: bytes, budget: Budget) -> Text:
    """Return the text of a tEXt, zTXt or iTXt; an empty one if it is broken or too large."""
    key, _, rest = data.partition(b"\0")
    compressed, start = False, len(key) + 1
    if kind == b"zTXt":
        compressed, start = True, start + 1
    elif kind == b"iTXt":
        compressed = rest[:1] == b"\1"
        start += 2 + sum(len(part) + 1 for part in rest[2:].split(b"\0", 2)[:2])
    value = data[start:]
    value = inflate(value, budget) if compressed else value
    return Text(key.decode("latin-1"), data[:start], value, compressed)


def inflate(data: bytes, budget: Budget) -> bytes:
    """Return a decompressed text; empty if it is broken, or larger than what is left of the budget."""
    worker = zlib.decompressobj()
    try:
        made = worker.decompress(data, max(1, budget.left))
        budget.spend(len(made))
    except (zlib.error, Malformed):
        return b""
    return made if worker.eof else b""


def raw_profile(text: Text) -> tuple[str, bytes]:
    """Read a profile in ImageMagick's older form, hexadecimal digits: its kind and its bytes."""
    digits = b"".join(text.value.split(None, 2)[2:]).decode("ascii", "replace")
    try:
        return text.key.removeprefix("Raw profile type "), bytes.fromhex(digits)
    except ValueError:
        return "", b""


def orientation(chunks: tuple[Chunk, ...]) -> int | None:
    """Return the orientation, 1 to 8, that a text states; None if none does."""
    budget = room()
    for kind, data in chunks:
        if kind in (b"tEXt", b"zTXt", b"iTXt"):
            text = read(kind, data, budget)
            if text.key.lower() in _ORIENTATIONS and text.value.strip() in _DIGITS:
                return int(text.value)
    return None


_DIGITS = tuple(str(digit).encode() for digit in range(1, 9))


def turned(chunks: tuple[Chunk, ...], turn: Turn) -> tuple[Chunk, ...]:
    """Return a PNG's chunks for the upright copy: texts, and the resolution in pHYs."""
    budget = room()
    return tuple((kind, _turned(kind, data, turn, budget)) for kind, data in chunks)


def _turned(kind: bytes, data: bytes, turn: Turn, budget: Budget) -> bytes:
    transposed = turn.orientation in TRANSPOSED
    if kind == b"pHYs":
        return data[4:8] + data[:4] + data[8:] if transposed else data
    if kind not in (b"tEXt", b"zTXt", b"iTXt"):
        return data
    text = read(kind, data, budget)
    if text.word == "orientation":
        return text.data(b"1")
    if text.word in _SIDES:
        return text.data(str(turn.size[_SIDES[text.word]]).encode())
    if transposed and text.word in ("xresolution", "yresolution"):
        at = len(text.key) - len(text.word)
        letter = _OTHER[text.before[at : at + 1]]
        return text.data(text.value, text.before[:at] + letter + text.before[at + 1 :])
    return data
