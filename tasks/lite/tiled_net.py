"""Run a trained restorer of the lite engine over a whole image."""

import ctypes
import math
from collections.abc import Sequence
from contextlib import suppress

import cv2
import numpy as np

from storage.photos import Image
from tasks.imaging.tiles import by_tiles
from tasks.lite import onnx_nets

OVERLAP = 80
"""Pixels of its neighbours on each side of a tile, wide enough for seams below 0.6 of 255
(`docs/experiments.md`)."""


TRIAL_SIDE = 384
"""Side in pixels of the crops on which a net is tried."""
MAX_PAYLOAD, MULTIPLE = 896, 8
"""Largest side in pixels of a tile without its overlap, and what the sides of a tile are a multiple
of. Two tiles at once then take 350 MB, and of 12 megapixels a third is computed twice."""


def restored(image: Image, name: str, conditions: Sequence[float] = ()) -> Image:
    """Return the image restored by the net `name`, with `conditions` as further input planes."""
    rows, columns = (_payload(length) for length in image.shape[:2])
    size = rows + 2 * OVERLAP, columns + 2 * OVERLAP
    net = onnx_nets.load(name, size)
    planes = np.broadcast_to(np.array(conditions, np.float32), (*size, len(conditions)))

    def restore(tile: Image) -> Image:
        height, width = tile.shape[:2]
        frame = (0, size[0] - height, 0, size[1] - width)
        padded = cv2.copyMakeBorder(tile, *frame, cv2.BORDER_REPLICATE)
        [output] = net(np.dstack([padded, planes]))
        return np.clip(np.moveaxis(output[0], 0, -1)[:height, :width], 0, 1)

    mended = by_tiles(image, restore, OVERLAP, (rows, columns))
    if max(image.shape[:2]) > MAX_PAYLOAD:
        _trim_memory()
    return mended


def _trim_memory() -> None:
    """Give freed memory back to the system: glibc keeps it, for each thread by itself."""
    with suppress(AttributeError, OSError):  # another libc
        ctypes.CDLL(None).malloc_trim(0)


def _payload(length: int) -> int:
    """Return the side of a tile without its overlap, so that few tiles of equal size fill a length.

    Equal sizes, because a net is loaded for each size by itself.
    """
    tiles = math.ceil(length / MAX_PAYLOAD)
    return MULTIPLE * math.ceil(length / (tiles * MULTIPLE))
