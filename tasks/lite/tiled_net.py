"""Run a trained restorer of the lite engine over a whole image."""

from collections.abc import Sequence

import cv2
import numpy as np

from storage.photos import Image
from tasks.imaging.tiles import by_tiles
from tasks.lite import onnx_nets

OVERLAP = 64
"""Pixels that a tile sees of its neighbours: with 48 the net against noise, which had learnt to look
further, left seams of up to five grey levels; with 56 they are below one, with this below 0.6."""


def restored(image: Image, name: str, conditions: Sequence[float] = ()) -> Image:
    """Give what the net `name` makes of an image; `conditions` is what it must know of the whole of it."""
    side = onnx_nets.side(name)
    planes = np.broadcast_to(np.array(conditions, np.float32), (side, side, len(conditions)))

    def restore(tile: Image) -> Image:
        height, width = tile.shape[:2]
        frame = (0, side - height, 0, side - width)
        padded = cv2.copyMakeBorder(tile, *frame, cv2.BORDER_REPLICATE)
        [output] = onnx_nets.run(name, np.dstack([padded, planes]))
        return np.moveaxis(output[0], 0, -1)[:height, :width]

    return np.clip(by_tiles(image, restore, OVERLAP, side - 2 * OVERLAP), 0, 1)
