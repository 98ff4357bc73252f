"""Find text in an image by PP-OCR's detector, whose weights come with the rapidocr package."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from storage.photos import Image
from tasks.imaging.light import Plane
from tasks.imaging.parallel import THREADS

Polygon = NDArray[np.float32]
"""Corners, (N, 2), x and y in pixels; a detector returns four, clockwise from the top left."""
Detector = Callable[[NDArray[np.uint8]], Iterable[NDArray[Any]]]
"""Takes BGR pixels (H, W, 3), as PP-OCR was trained on, and returns polygons."""

ENGINE = {
    "Global.log_level": "critical",
    "EngineConfig.onnxruntime.intra_op_num_threads": THREADS,
    "EngineConfig.onnxruntime.inter_op_num_threads": 1,
}
"""Settings of rapidocr for detection and recognition."""
FEATHER = 0.25
"""Width of the fading border of the mask, as a share of the height of a line."""
MIN_SCORE = 0.6
"""Smallest score of a polygon: the default of PP-OCR."""
MAX_AREA_SHARE = 0.2
"""Largest area of a polygon as a share of the image: a larger one is no line of text."""
MAX_SIDE, MIN_SIDE = 2000, 32
"""Most pixels of the longer side of the copy that is searched, and fewest of its shorter side."""
MAX_ASPECT = 8
"""Largest ratio of the sides: rapidocr enlarges the shorter side to 736 pixels, which took 5 GB for
70 by 4000 pixels."""


def find_text(image: Image) -> Plane:
    """Return a mask of the text in an image, (H, W): 1 on text, fading to 0 around it."""
    mask = np.zeros(image.shape[:2], np.float32)
    polygons = find_polygons(image)
    for polygon in polygons:
        cv2.fillPoly(mask, [np.rint(polygon).astype(np.int32)], (1.0,))
    return _feathered(mask, polygons)


def find_polygons(image: Image) -> list[Polygon]:
    """Return a polygon around each line of text in an image, RGB in [0, 1], any H and W.

    The detector searches a copy of at most `MAX_SIDE` pixels a side, whatever the image's size.
    """
    return detect(_by_rapidocr, image)


def detect(detector: Detector, image: Image) -> list[Polygon]:
    """Return a detector's polygons that can be lines of text; none for a tiny image."""
    height, width = image.shape[:2]
    if min(height, width) * min(1, MAX_SIDE / max(height, width)) < MIN_SIDE:
        return []
    rounded = cv2.convertScaleAbs(image, alpha=255)
    blue_first = np.asarray(cv2.cvtColor(rounded, cv2.COLOR_RGB2BGR), np.uint8)
    polygons = [np.asarray(found, np.float32) for found in detector(_padded(blue_first))]
    return [
        found for found in polygons if cv2.contourArea(found) <= MAX_AREA_SHARE * height * width
    ]


def _by_rapidocr(pixels: NDArray[np.uint8]) -> Iterable[NDArray[Any]]:
    boxes: NDArray[Any] | None = _detector()(pixels).boxes
    return [] if boxes is None else boxes


def _padded(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pad a narrow strip to the right or below, which keeps the coordinates of polygons."""
    height, width = pixels.shape[:2]
    min_side = -(-max(height, width) // MAX_ASPECT)
    below, right = max(0, min_side - height), max(0, min_side - width)
    padded = cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_REPLICATE)
    return np.asarray(padded, np.uint8)


def _feathered(mask: Plane, polygons: list[Polygon]) -> Plane:
    if not polygons:
        return mask
    height = float(np.median([min(cv2.minAreaRect(polygon)[1]) for polygon in polygons]))
    reach = 2 * int(np.clip(FEATHER * height, 2, 32)) + 1
    dilated = cv2.dilate(mask, np.ones((reach, reach), np.uint8))
    return np.asarray(cv2.blur(dilated, (reach, reach)), np.float32)


@cache
def _detector() -> Any:  # rapidocr has no types
    from rapidocr import RapidOCR  # the import takes two seconds

    return RapidOCR(
        params={
            "Global.use_cls": False,
            "Global.use_rec": False,
            "Det.box_thresh": MIN_SCORE,
            "Global.max_side_len": MAX_SIDE,
            **ENGINE,
        }
    )
