"""Give a restored photo its own faces back, where a net that invents detail repainted them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from storage.photos import Image
from tasks.imaging.light import Plane
from tasks.paper.detectors.faces import Face, around
from tasks.paper.restorers import identity
from tasks.paper.restorers.alignment import FaceRefused, align, crop
from tasks.paper.restorers.colour_fix import resized

MARGIN = 0.2
"""Pixels around a face that are its own, too, as a share of its box."""
REACH, FADE = 0.4, 0.05
"""Margin beyond that in which its pixels fade, and the standard deviation of the fading, as a share
of the face with both margins."""


@dataclass(frozen=True)
class KeepFaces:
    """A detector ready to run, and whether a net may change a face at all."""

    find: Callable[[Image], Sequence[Face]]
    allowed: bool = False
    """Whether a restored face stays if it passes `check`."""
    check: Callable[[Image, Image], None] = identity.check
    """Takes an aligned face before and after; raises FaceRefused if it became another."""

    def __call__(self, restored: Image, original: Image) -> tuple[Image, int, int]:
        """Return the image, the number of restored faces, and of those that were given back.

        `restored` is `original`, (H, W, 3) in [0, 1], enlarged by a whole factor.
        """
        found = self.find(original)
        if not found:
            return restored, 0, 0
        size = original.shape[:2]
        made = resized(restored, size) if self.allowed else restored
        back = [
            face for face in found if not (self.allowed and self._is_kept(original, made, face))
        ]
        result = restored.copy() if back else restored
        for face in back:
            _give_back(result, original, face)
        return result, len(found) - len(back), len(back)

    def _is_kept(self, original: Image, made: Image, face: Face) -> bool:
        try:
            affine = align(face.points)
            self.check(*(crop(image, affine).clip(0, 1) for image in (original, made)))
        except FaceRefused:
            return False
        return True


def _give_back(result: Image, original: Image, face: Face) -> None:
    """Blend the original's face into the result, in place."""
    scale = result.shape[0] // original.shape[0]
    own, place = (around(face, margin, original.shape) for margin in (MARGIN, MARGIN + REACH))
    part = original[place]
    share = np.zeros(original.shape[:2], np.float32)
    share[own] = 1
    share = _faded(share[place], FADE * min(part.shape[:2]))
    height, width = (scale * side for side in part.shape[:2])
    weight = cv2.resize(share, (width, height), interpolation=cv2.INTER_LINEAR)[..., np.newaxis]
    view = result[tuple(slice(scale * side.start, scale * side.stop) for side in place)]
    view += weight * (resized(part, (height, width)) - view)


def _faded(share: Plane, sigma: float) -> Plane:
    """Let a mask fade outside of itself: it stays 1 inside."""
    grown = cv2.dilate(share, np.ones(2 * (2 * round(2 * sigma) + 1,), np.uint8))
    blurred = cv2.GaussianBlur(grown, (0, 0), max(sigma, 0.5), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(np.maximum(blurred, share), np.float32)
