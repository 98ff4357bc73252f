"""Paint over what a reflection hides, with LaMa, from its surroundings.

Suvorov et al., "Resolution-robust Large Mask Inpainting with Fourier Convolutions", WACV 2022. It
was fitted on 256 pixels a side and works up to about 2000, so each region is painted on a crop.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from storage.photos import Image
from tasks import progress
from tasks.imaging.light import Plane
from tasks.imaging.masks import BoolMask
from tasks.paper import gpu
from tasks.paper.checkpoints import read_tensors
from tasks.paper.tensors import image_of, tensor_of

MARGIN = 128
"""Margin in pixels around a region that the net sees."""
JOIN_DISTANCE = 64
"""Distance in pixels within which regions are painted together."""
MAX_SIDE, MIN_SIDE = 1024, 256
"""Longer side in pixels to which larger crops are shrunk, and the smallest one if memory is too small."""
FADE = 4
"""Pixels over which the painting fades in, inside of the mask."""


@dataclass(frozen=True)
class Inpaint:
    """LaMa ready to run: image and mask → image of the same size, any H and W."""

    net: Callable[[Tensor, Tensor], Tensor]
    """Takes an image (1, 3, H, W) in [0, 1] and a mask (1, 1, H, W) of 0 and 1, any H and W; returns
    an image. In evaluation mode, float32."""
    device: torch.device

    @torch.inference_mode()
    def __call__(self, image: Image, mask: Plane) -> Image:
        """Paint where the mask, (H, W), is at least 0.5; no bit of other pixels changes.

        An image that is masked as a whole is returned unchanged.

        Raises:
            torch.OutOfMemoryError: not even a shrunken crop fits.

        """
        hole = mask >= 0.5
        result = image.copy()
        if hole.all():
            return result
        weights = _weights(hole)
        regions = list(_regions(hole))
        with progress.of(len(regions)) as count:
            for region in regions:
                rows, columns = _crop(region)
                inside = np.ascontiguousarray(region[rows, columns])
                painted = self._painted(image[rows, columns], hole[rows, columns])
                view = result[rows, columns]
                weight = weights[rows, columns][inside][:, np.newaxis]
                mixed = view[inside] + weight * (painted[inside] - view[inside])
                view[inside] = mixed.clip(0, 1)
                count(1)
        return result

    def _painted(self, crop: Image, hole: BoolMask) -> Image:
        """Return a crop painted by the net, which is shrunk before and enlarged after if it is large."""
        return gpu.halving(
            lambda longest: self._painted_at(crop, hole, longest),
            MAX_SIDE, MIN_SIDE, "the longer side of crops in pixels",
        )  # fmt: skip

    def _painted_at(self, crop: Image, hole: BoolMask, longest: int) -> Image:
        height, width = crop.shape[:2]
        scale = longest / max(height, width)
        if scale >= 1:
            return self._run(crop, hole)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
        touched = cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
        painted = self._run(np.asarray(small, np.float32), touched)
        enlarged = cv2.resize(painted, (width, height), interpolation=cv2.INTER_CUBIC)
        return np.asarray(enlarged, np.float32).clip(0, 1)

    def _run(self, crop: Image, hole: BoolMask) -> Image:
        planes = tensor_of(crop, self.device)
        mask = torch.from_numpy(hole.astype(np.float32))[None, None].to(self.device)
        # Its Fourier transforms do not support half precision.
        with torch.autocast(self.device.type, enabled=False):
            return image_of(self.net(planes, mask))


def load(file: Path, device: torch.device) -> Inpaint:
    """Load the published big-lama.pt, or any file that spandrel recognises as LaMa.

    Raises:
        ValueError: the file holds another kind of net.

    """
    import spandrel  # type: ignore[import-untyped,import-not-found,unused-ignore]

    net = spandrel.ModelLoader(device=device).load_from_state_dict(read_tensors(file))
    if not isinstance(net, spandrel.MaskedImageModelDescriptor):
        raise ValueError(f"{file} holds no inpainting net but {net.architecture.name}")
    return ready(net, device)


def ready(net: Any, device: torch.device) -> Inpaint:  # spandrel has no types
    """Return LaMa from a net of spandrel, in evaluation mode, which spandrel does not set."""
    return Inpaint(net.eval(), device)


def _weights(hole: BoolMask) -> Plane:
    """Return the weight of the painting: 1 inside, less near the border, (H, W)."""
    framed = cv2.copyMakeBorder(hole.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, 5)[1:-1, 1:-1]
    return np.asarray(np.minimum(1, depth / FADE), np.float32)


def _regions(hole: BoolMask) -> Iterator[BoolMask]:
    """Yield the parts of a hole, neighbouring ones together unless their crop is too large."""
    for region in _parts(hole, JOIN_DISTANCE):
        rows, columns = _crop(region)
        if max(rows.stop - rows.start, columns.stop - columns.start) <= MAX_SIDE:
            yield region
        else:
            yield from _parts(region, 0)


def _parts(hole: BoolMask, near: int) -> Iterator[BoolMask]:
    joined = np.asarray(cv2.dilate(hole.astype(np.uint8), np.ones((near + 1, near + 1), np.uint8)))
    number, labels = cv2.connectedComponents(joined)
    for label in range(1, number):
        yield hole & (labels == label)


def _crop(region: BoolMask) -> tuple[slice, slice]:
    """Return the rows and columns of a region and its margin."""
    height, width = region.shape
    left, top, columns, rows = cv2.boundingRect(region.astype(np.uint8))
    return (
        slice(max(0, top - MARGIN), min(height, top + rows + MARGIN)),
        slice(max(0, left - MARGIN), min(width, left + columns + MARGIN)),
    )
