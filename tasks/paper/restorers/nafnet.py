"""Undo the blur of moving things and cameras with NAFNet.

On what it was not fitted to it may explode into coloured mosaics, black or grids (about 0.3 % of
photos; issues 25, 83 and 189 of megvii-research/NAFNet), so what it makes is trusted only where
it stays near to its input.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from storage.photos import Image
from tasks.imaging.light import Plane
from tasks.paper.checkpoints import read_tensors
from tasks.paper.nets.nafnet import FITTED_ON, NAFNet
from tasks.paper.restorers.overlap import by_overlapping_tiles
from tasks.paper.tensors import image_of, tensor_of
from tasks.verdict import Verdict

log = logging.getLogger(__name__)

TILE_PIXELS, OVERLAP = 1024, 128
"""A tile's side is four times what the net was fitted on, so that its means stay local ones."""
BLOCK = 65
"""Pixels of the window in which a result is compared with its input; odd."""
MAX_SHIFT = 0.08
"""Of the window's mean: undoing a movement of 30 pixels beside an edge from black to white moves
it by 0.06, whereas an explosion paints over it."""
MAX_CHANGE = 0.25
"""Root mean square of the change in the window."""
MIN_TRUSTED = 0.5
"""The trusted share of a tile below which nothing of it is."""
MAX_VALUE = 10.0
"""What stands for a value that is no number, or is larger."""


@dataclass(frozen=True)
class Deblur:
    """NAFNet ready to run: image → image of the same size, any H and W.

    Raises:
        torch.OutOfMemoryError: even the smallest tile does not fit.

    """

    net: torch.nn.Module
    """Takes and gives (1, 3, H, W), RGB in [0, 1], in evaluation mode."""
    device: torch.device
    tile_pixels: int = TILE_PIXELS

    @torch.inference_mode()
    def __call__(self, image: Image, verdict: Verdict | None = None) -> Image:
        """Undo the blur; where the net cannot be trusted, the image stays as it is."""
        restored = by_overlapping_tiles(image, self._restored, self.tile_pixels, OVERLAP)
        return restored.clip(0, 1)  # blending may round to just above 1

    def _restored(self, tile: Image) -> Image:
        return trusted(tile, image_of(self.net(tensor_of(tile, self.device))))


def load(file: Path, device: torch.device, *, local: bool = True) -> Deblur:
    """Load an official checkpoint; `local` takes the means over windows, as its figures do.

    Not for the denoisers (SIDD), whose figures are with means over the whole image.
    """
    net = NAFNet.of(read_tensors(file), FITTED_ON if local else None)
    return Deblur(net.to(device), device)


def trusted(image: Image, made: Image) -> Image:
    """Give `made`, in [0, 1], and fade to `image` where it strays further than a blur may have."""
    made = np.nan_to_num(made, nan=MAX_VALUE, posinf=MAX_VALUE, neginf=-MAX_VALUE).clip(
        -MAX_VALUE, MAX_VALUE
    )
    trust = _trust(made - image)
    share = float(trust.mean())
    if share < 1:
        log.info("the net was not trusted on %.1f %% of a tile", 100 * (1 - share))
    if share < MIN_TRUSTED:
        return image
    return image + trust[..., np.newaxis] * (np.clip(made, 0, 1) - image)


def _trust(change: Image) -> Plane:
    """Give 1 where a change is of a likely size, 0 where it is twice that, (H, W)."""
    shift = np.abs(_windowed(change)).max(2) / MAX_SHIFT
    size = np.sqrt(_windowed(change * change).mean(2)) / MAX_CHANGE
    trust = np.clip(2 - np.maximum(shift, size), 0, 1)
    # A change that leaks out of a window is not trusted either.
    worst = np.asarray(cv2.erode(trust, np.ones((BLOCK, BLOCK), np.uint8)), np.float32)
    return np.asarray(np.minimum(_windowed(worst), trust), np.float32)


def _windowed(planes: Image | Plane) -> Image:
    return np.asarray(cv2.blur(planes, (BLOCK, BLOCK), borderType=cv2.BORDER_REFLECT), np.float32)
