"""Run a trained restorer of the lite engine over a whole image."""

import cv2
import numpy as np

from storage.kinds import Degradation
from storage.photos import Image
from tasks import weights
from tasks.classifiers import Verdict
from tasks.restorers.tiles import by_tiles

ACT = 0.6
"""The severity from which on a net's result is taken whole; below, as a share of it."""
OVERLAP = 48
"""Pixels that a tile sees of its neighbours: with 32 a seam of ten grey levels was seen, of 10^6."""


def strength_of(verdict: Verdict, degradation: Degradation) -> float:
    """Return how much of a net's result is blended in, in [0, 1]."""
    return min(1.0, verdict.severities[degradation] / ACT)


def restored(image: Image, name: str, strength: float) -> Image:
    """Give what the net `name` makes of an image, blended in by `strength` in [0, 1]."""
    side = weights.side(name)

    def restore(tile: Image) -> Image:
        height, width = tile.shape[:2]
        frame = (0, side - height, 0, side - width)
        framed = cv2.copyMakeBorder(tile, *frame, cv2.BORDER_REPLICATE)
        [made] = weights.run(name, np.asarray(framed, np.float32))
        return np.moveaxis(made[0], 0, -1)[:height, :width]

    made = by_tiles(image, restore, OVERLAP, side - 2 * OVERLAP)
    return np.clip(image + np.float32(strength) * (made - image), 0, 1)
