"""Run a trained restorer of the lite engine over a whole image."""

from collections.abc import Sequence

import cv2
import numpy as np

from storage.photos import Image
from tasks.imaging.tiles import by_tiles
from tasks.lite import onnx_nets

OVERLAP = 64
"""Pixels of its neighbours on each side of a tile, wide enough for seams below 0.6 of 255
(`docs/experiments.md`)."""


def payload(name: str) -> int:
    """Return the side in pixels of the part of a photo that the net `name` restores at once."""
    return onnx_nets.side(name) - 2 * OVERLAP


def restored(image: Image, name: str, conditions: Sequence[float] = ()) -> Image:
    """Return the image restored by the net `name`, with `conditions` as further input planes."""
    side = onnx_nets.side(name)
    planes = np.broadcast_to(np.array(conditions, np.float32), (side, side, len(conditions)))

    def restore(tile: Image) -> Image:
        height, width = tile.shape[:2]
        frame = (0, side - height, 0, side - width)
        padded = cv2.copyMakeBorder(tile, *frame, cv2.BORDER_REPLICATE)
        [output] = onnx_nets.run(name, np.dstack([padded, planes]))
        return np.clip(np.moveaxis(output[0], 0, -1)[:height, :width], 0, 1)

    return by_tiles(image, restore, OVERLAP, payload(name))
