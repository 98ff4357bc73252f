"""Enlarge an image by a Real-ESRGAN network, in tiles.

Wang et al., "Real-ESRGAN: training real-world blind super-resolution with pure synthetic data",
ICCV workshops 2021. It keeps the strokes of letters, which diffusion may replace by others.
"""

import logging
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from spandrel import ImageModelDescriptor, ModelLoader, UnsupportedModelError

from storage.errors import WeightsWrong
from storage.photos import Image
from tasks import progress
from tasks.paper import gpu
from tasks.paper.checkpoints import read_tensors
from tasks.paper.tensors import image_of, in_float32, tensor_of, without_infinite

log = logging.getLogger(__name__)

CONTEXT = 32
"""Margin of a tile in pixels on each side, reflected at the border."""
MIN_TILE = 4 * CONTEXT
"""Side in pixels of the smallest tile with its margin."""
ARCHITECTURES = ("ESRGAN", "Compact")
"""Spandrel's names of the architectures that Real-ESRGAN networks have."""


@dataclass(frozen=True, eq=False)
class RealESRGAN:
    """Enlarges images of any size by its network's factor."""

    net: ImageModelDescriptor[Any]  # spandrel's type of the network, which differs by architecture
    tile_pixels: int = 256
    """Side of a tile with its margin, which determines the memory."""

    def __call__(self, image: Image) -> Image:
        """Return an image of `scale` times the size, RGB in [0, 1].

        The side of tiles is halved if memory is too small.

        Raises:
            torch.OutOfMemoryError: even the smallest tile does not fit.
            FloatingPointError: values are not finite, in float32 either.

        """
        return gpu.halving(
            lambda side: self._by_tiles(image, side),
            self.tile_pixels, MIN_TILE, "the side of tiles in pixels",
        )  # fmt: skip

    @property
    def scale(self) -> int:
        return int(self.net.scale)

    def _by_tiles(self, image: Image, side: int) -> Image:
        height, width = image.shape[:2]
        result = np.empty((self.scale * height, self.scale * width, 3), np.float32)
        padded = cv2.copyMakeBorder(image, *(4 * (CONTEXT,)), cv2.BORDER_REFLECT_101)
        inside = side - 2 * CONTEXT
        places = list(product(_starts(height, inside), _starts(width, inside)))
        with progress.of(len(places)) as count:
            for top, left in places:
                tile = padded[top : top + side, left : left + side]
                rows, columns = (length - 2 * CONTEXT for length in tile.shape[:2])
                result[self._span(top, rows), self._span(left, columns)] = self._enlarged(
                    np.asarray(tile, np.float32)
                )[self._span(CONTEXT, rows), self._span(CONTEXT, columns)]
                count(1)
        return result

    def _enlarged(self, tile: Image) -> Image:
        """Enlarge a tile; if it exceeds the range of float16 again, in float32."""
        result = self._run(tile)
        if not np.isfinite(result).all() and self.net.dtype != torch.float32:
            log.info("a tile exceeds the range of %s", self.net.dtype)
            with in_float32(self.net):
                result = self._run(tile)
        if not np.isfinite(result).all():
            raise FloatingPointError(
                "Real-ESRGAN returned values that are not finite, even in float32"
            )
        return result

    def _run(self, tile: Image) -> Image:
        result = self.net(tensor_of(tile, self.net.device, self.net.dtype))
        return image_of(result.clamp(0, 1))

    def _span(self, start: int, length: int) -> slice:
        return slice(self.scale * start, self.scale * (start + length))


def _starts(side: int, inside: int) -> list[int]:
    """Return the starts of tiles along a side; the last is shifted back, so that all have one size."""
    last = max(0, side - inside)
    return sorted({*range(0, last, inside), last})


def load(
    file: Path, device: torch.device, dtype: torch.dtype = torch.float32, *, tile_pixels: int = 256
) -> RealESRGAN:
    """Load Real-ESRGAN from a weights file, .safetensors or .pth, without running code in it.

    Raises:
        WeightsWrong: the file is damaged, or of another network.

    """
    tensors = read_tensors(file)
    try:
        net = ModelLoader(device).load_from_state_dict(tensors)
    except (UnsupportedModelError, RuntimeError) as error:
        raise WeightsWrong(f"{file} is not of a Real-ESRGAN network") from error
    if net.architecture.id not in ARCHITECTURES or net.input_channels != 3:
        raise WeightsWrong(f"{file} is of {net.architecture.name}, not of Real-ESRGAN")
    assert isinstance(net, ImageModelDescriptor)
    net.model.register_forward_hook(lambda _net, _inputs, output: without_infinite(output))
    return RealESRGAN(net.to(device, dtype).eval(), tile_pixels)
