"""Remove motion blur of objects and cameras with NAFNet.

On unusual photos its output may be coloured mosaics, black or grids (about 0.3 % of photos; issues 25,
83 and 189 of megvii-research/NAFNet), so the output is used only where it is close to the input.
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
from tasks.paper.restorers.overlap import Place, by_overlapping_tiles
from tasks.paper.tensors import image_of, tensor_of
from tasks.verdict import Verdict

log = logging.getLogger(__name__)

TILE_PIXELS, OVERLAP = 1024, 128
"""Side and overlap of tiles in pixels; the side is four times that of the crops in training."""
BLOCK = 65
"""Side in pixels of the window in which output and input are compared; odd."""
MAX_SHIFT = 0.08
"""Largest change of the window's mean. Removing a movement of 30 pixels at an edge from black to white
changes it by 0.06."""
MAX_CHANGE = 0.25
"""Largest root mean square of the change in the window."""
MIN_TRUSTED = 0.5
"""Smallest mean trust of a tile whose output is used at all."""
MAX_VALUE = 10.0
"""Limit of the output's absolute values; replaces values that are not finite."""


@dataclass(frozen=True)
class Deblur:
    """NAFNet ready to run: image → image of the same size, any H and W.

    Raises:
        torch.OutOfMemoryError: even the smallest tile does not fit.

    """

    net: torch.nn.Module
    """Takes and returns (1, 3, H, W), RGB in [0, 1], in evaluation mode."""
    device: torch.device
    tile_pixels: int = TILE_PIXELS

    @torch.inference_mode()
    def __call__(self, image: Image, verdict: Verdict | None = None) -> Image:
        """Remove the blur; where the net is not trusted, the image does not change."""
        restored = by_overlapping_tiles(image, self._restored, self.tile_pixels, OVERLAP)
        return restored.clip(0, 1)  # blending may round to just above 1

    def _restored(self, tile: Image, _place: Place) -> Image:
        return trusted(tile, image_of(self.net(tensor_of(tile, self.device))))


def load(file: Path, device: torch.device, *, local: bool = True) -> Deblur:
    """Load an official checkpoint. `local`: means are over windows, as for its published figures.

    The published figures of the denoisers (SIDD) are with means over the whole image instead.
    """
    net = NAFNet.of(read_tensors(file), FITTED_ON if local else None)
    return Deblur(net.to(device), device)


def trusted(image: Image, output: Image) -> Image:
    """Return `output`, in [0, 1], blended with `image` where it changes more than deblurring would."""
    output = np.nan_to_num(output, nan=MAX_VALUE, posinf=MAX_VALUE, neginf=-MAX_VALUE).clip(
        -MAX_VALUE, MAX_VALUE
    )
    trust = _trust(output - image)
    share = float(trust.mean())
    if share < 1:
        log.info("NAFNet's output is not used on %.1f %% of a tile", 100 * (1 - share))
    if share < MIN_TRUSTED:
        return image
    return image + trust[..., np.newaxis] * (np.clip(output, 0, 1) - image)


def _trust(change: Image) -> Plane:
    """Return 1 where a change is within the limits, 0 where it is twice them, (H, W)."""
    shift = np.abs(_windowed(change)).max(2) / MAX_SHIFT
    size = np.sqrt(_windowed(change * change).mean(2)) / MAX_CHANGE
    trust = np.clip(2 - np.maximum(shift, size), 0, 1)
    # A change that spreads out of a window is not trusted either.
    worst = np.asarray(cv2.erode(trust, np.ones((BLOCK, BLOCK), np.uint8)), np.float32)
    return np.asarray(np.minimum(_windowed(worst), trust), np.float32)


def _windowed(planes: Image | Plane) -> Image:
    return np.asarray(cv2.blur(planes, (BLOCK, BLOCK), borderType=cv2.BORDER_REFLECT), np.float32)
