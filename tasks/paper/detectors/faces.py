"""Find faces in an image with YuNet, through OpenCV.

Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research, 2023.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from storage.photos import Image

Points = NDArray[np.float64]
"""Both eyes, tip of the nose, both corners of the mouth: (5, 2), x and y in pixels. Of each pair, the
left one in an upright face comes first."""

MAX_SIDE = 1280
"""Longer side in pixels of the copy that YuNet sees; it was fitted on faces of 10 to 300 pixels."""
MIN_SIDE = 64
"""Pixels to which shorter sides are padded: below 33, OpenCV 4.10 returns infinite coordinates."""
MIN_SCORE = 0.7
"""Smallest score of a face, in [0, 1]."""
MAX_OVERLAP, MAX_FACES = 0.3, 5000
"""Largest overlap of two boxes that are both kept, and most boxes before that: OpenCV's defaults."""


@dataclass(frozen=True)
class Face:
    """A face in an image."""

    points: Points
    box: tuple[float, float, float, float]
    """Left, top, right, bottom in pixels; may exceed the image."""
    score: float


def around(face: Face, margin: float, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return rows and columns of a face in an image of a shape (H, W, ...), inside of the image.

    `margin` is added on each side, as a share of the box.
    """
    left, top, right, bottom = face.box
    x, y = margin * (right - left), margin * (bottom - top)
    rows, columns = (
        slice(max(0, int(first)), max(0, min(length, int(last) + 1)))
        for first, last, length in zip(
            (top - y, left - x), (bottom + y, right + x), shape[:2], strict=True
        )
    )
    return rows, columns


@dataclass(frozen=True)
class FindFaces:
    """YuNet ready to run: image → its faces, by descending score."""

    file: Path
    """An ONNX file for `cv2.FaceDetectorYN`; OpenCV 4.10 requires fixed shapes."""
    min_score: float = MIN_SCORE

    def __call__(self, image: Image) -> Sequence[Face]:
        """Find the faces in an image, any H and W."""
        height, width = image.shape[:2]
        scale = min(1.0, MAX_SIDE / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image
        factors = np.array([width / size[0], height / size[1]])
        found = [_face(row, factors) for row in self._rows(np.asarray(small, np.float32))]
        return sorted(found, key=lambda face: -face.score)

    def _rows(self, image: Image) -> NDArray[np.float64]:
        """Return the net's finite outputs, one row for each face, (N, 15)."""
        blue_first = np.rint(np.clip(image[..., ::-1], 0, 1) * 255).astype(np.uint8)
        below, right = (max(0, MIN_SIDE - side) for side in image.shape[:2])
        padded = cv2.copyMakeBorder(blue_first, 0, below, 0, right, cv2.BORDER_REPLICATE)
        detector = _detector(self.file)
        detector.setInputSize(padded.shape[1::-1])
        detector.setScoreThreshold(self.min_score)
        _, found = detector.detect(padded)
        rows = np.empty((0, 15)) if found is None else np.asarray(found, np.float64)
        return rows[np.isfinite(rows).all(1)]


def _face(row: NDArray[np.float64], factors: NDArray[np.float64]) -> Face:
    """Return the face of a row (left, top, width, height, five points, score), scaled by `factors`."""
    corners = np.array([row[:2], row[:2] + row[2:4]]) * factors
    points = (row[4:14].reshape(5, 2) + 0.5) * factors - 0.5
    left, top, right, bottom = (float(side) for side in corners.ravel())
    return Face(points, (left, top, right, bottom), float(row[14]))


@cache
def _detector(file: Path) -> cv2.FaceDetectorYN:
    size = (320, 320)  # set anew for each image
    return cv2.FaceDetectorYN.create(str(file), "", size, MIN_SCORE, MAX_OVERLAP, MAX_FACES)
