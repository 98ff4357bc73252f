"""What follows the end of a JPEG: previews, padding, Samsung's blocks, or what a copy would lack."""

import io
import re
from collections.abc import Iterator
from typing import BinaryIO

from storage.formats.containers import Budget, Malformed, end, jpeg, take
from storage.uncarried import samsung, segments, words

MOST_BYTES = 32 << 20
"""Size of the largest trailer that is looked at; a larger one is a reason by itself."""
_MOST_IMAGES = 64
_FILM_MARK = re.compile(
    rb"MotionPhoto_Data|\0\0\0[\x08-\x40]ftyp(mp4|isom|iso\d|qt  |MSNV|avc1|mp42)"
)


def reasons(file: BinaryIO) -> Iterator[str]:
    """Yield what is behind the image that a copy would lack."""
    start = jpeg.coded_end(file)
    if start is None or start == end(file):
        return
    length = end(file) - start
    data = take(file, start, min(length, MOST_BYTES))
    if _FILM_MARK.search(data):
        yield words.FILM
    if length > MOST_BYTES:
        yield words.part(f"{length} bytes behind its end")
    blocks_start, found = samsung.trailer(data)
    yield from found
    yield from _images(file, start, data[:blocks_start])


def _images(file: BinaryIO, start: int, data: bytes) -> Iterator[str]:
    """Yield a reason for each further JPEG that is no preview, and for what is none."""
    kinds = {image.start: image.kind for image in segments.further(file)}
    width, height, *_ = jpeg.frame(file)
    at, budget = 0, Budget(len(data))
    for _ in range(_MOST_IMAGES):
        at = data.find(rest[:1], at) if (rest := data[at:].lstrip(b"\0\r\n\t ")) else len(data)
        if words.is_padding(data[at:]):
            return
        try:
            stop = jpeg.coded_end(image := io.BytesIO(data[at:]), budget)
        except Malformed:
            break
        if stop is None:
            break
        yield from segments.judged(take(image, 0, stop), kinds.get(start + at, 0), (width, height))
        at += stop
    yield words.part(f"{len(data) - at} bytes behind its end")
