"""Keep restored lines of text only if they read as before, with no less confidence.

A network that sharpens strokes may turn letters into others. PP-OCR's recogniser, which comes with
rapidocr, reads each line in the original and in the result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from storage.photos import Image
from tasks.imaging.text_detection import ENGINE, Polygon

MAX_CHANGED = 0.2
"""Largest share of a line's letters that may differ."""
SURE_CONFIDENCE = 0.95
"""Confidence from which on no letter of a line may change."""
MIN_CONFIDENCE = 0.5
"""Confidence below which a line counts as not read: rapidocr's default."""
LINE_PIXELS = 48
"""Height in pixels to which the recogniser resizes every line."""
VERTICAL_RATIO = 1.5
"""Height over width from which on a line is vertical."""


@dataclass(frozen=True)
class Reading:
    """The text of a line, as it was read."""

    text: str
    confidence: float
    """Mean confidence of its letters, in [0, 1]; 0 if there are none."""


def unchanged(before: Image, after: Image, lines: Sequence[Polygon]) -> list[bool]:
    """Return which lines of text read the same in `after` as in `before`, of the same size.

    A line that could not be read before is not among them, because sharp letters in its place could
    not be checked.
    """
    return [_reads_the_same(read(before, line), read(after, line)) for line in lines]


def read(image: Image, line: Polygon) -> Reading:
    """Read a line of text in an image, RGB in [0, 1], any H and W."""
    found = _recogniser()(_upright(image, line))
    return Reading(found.txts[0].strip(), float(found.scores[0]))


def distance(one: str, other: str) -> int:
    """Return the edit distance: insertions, deletions and substitutions of letters."""
    row = list(range(len(other) + 1))  # Wagner & Fischer, row by row
    for above, letter in enumerate(one):
        corner, row[0] = row[0], above + 1
        for place, meant in enumerate(other):
            corner, row[place + 1] = (
                row[place + 1],
                min(row[place] + 1, row[place + 1] + 1, corner + (letter != meant)),
            )
    return row[-1]


def _reads_the_same(before: Reading, after: Reading) -> bool:
    if (
        not before.text
        or before.confidence < MIN_CONFIDENCE
        or after.confidence < before.confidence
    ):
        return False
    most = 0 if before.confidence >= SURE_CONFIDENCE else MAX_CHANGED
    longest = max(len(before.text), len(after.text))
    return distance(before.text, after.text) <= most * longest


def _upright(image: Image, line: Polygon) -> NDArray[np.uint8]:
    """Return the crop of a line, rotated to the horizontal, BGR, no higher than `LINE_PIXELS`."""
    corners = _clockwise(line)
    width, height = (np.linalg.norm(corners[n] - corners[0]) for n in (1, 3))
    size = max(1, round(float(width))), max(1, round(float(height)))
    target = np.array(((0, 0), (size[0], 0), size, (0, size[1])), np.float32)
    cut = cv2.warpPerspective(
        image, cv2.getPerspectiveTransform(corners, target), size,
        flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    if size[1] >= VERTICAL_RATIO * size[0]:
        cut = np.rot90(cut)
    share = LINE_PIXELS / cut.shape[0]
    if share < 1:
        cut = cv2.resize(
            cut, (max(1, round(share * cut.shape[1])), LINE_PIXELS), interpolation=cv2.INTER_AREA
        )
    return np.rint(np.clip(cut[..., ::-1], 0, 1) * 255).astype(np.uint8)


def _clockwise(line: Polygon) -> NDArray[np.float32]:
    """Return the corners of the rectangle around a line, (4, 2), from the top left."""
    corners = cv2.boxPoints(cv2.minAreaRect(line))
    first = int(np.argmin(corners.sum(1)))
    return np.asarray(np.roll(corners, -first, axis=0), np.float32)


@cache
def _recogniser() -> Any:  # rapidocr is untyped
    from rapidocr import RapidOCR  # takes two seconds

    return RapidOCR(
        params={
            "Global.use_det": False,
            "Global.use_cls": False,
            "Global.use_rec": True,
            **ENGINE,
        }
    )
