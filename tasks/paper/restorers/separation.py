"""Reduce weak reflections over the whole image, with the public pair of nets against them.

Reflections are usually out of focus, so the nets see a shrunken copy of a large photo, of the size
that they were fitted on. The change of the copy is added to the photo, which keeps its detail.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from storage.photos import Image
from tasks.imaging.tiles import shrunk
from tasks.paper import gpu
from tasks.paper.checkpoints import read_tensors
from tasks.paper.nets.rrw import SeparationNet, location_net
from tasks.paper.tensors import image_of, tensor_of
from tasks.verdict import Verdict

log = logging.getLogger(__name__)

MAX_SIDE, MIN_SIDE = 1280, 64
"""Longer side in pixels of the copy that the nets see, and pixels to which shorter sides are padded."""
SMALLEST_SIDE = 320
"""Longer side in pixels of the smallest copy, if memory is too small."""


@dataclass(frozen=True)
class Separate:
    """Both nets ready to run: image → image of the same size, any H and W."""

    locate: nn.Module
    """(1, 3, H, W), RGB in [0, 1] → map (1, 1, H, W)."""
    separate: nn.Module
    """The same and the map → image (1, 3, H, W)."""
    device: torch.device

    @torch.inference_mode()
    def __call__(self, image: Image, verdict: Verdict | None = None) -> Image:
        """Reduce reflections; return the image unchanged if the net's output is not finite."""
        return gpu.halving(
            lambda longest: self._reduced(image, longest),
            MAX_SIDE, SMALLEST_SIDE, "the longer side of the copy in pixels",
        )  # fmt: skip

    def _reduced(self, image: Image, longest: int) -> Image:
        """Return the image without what the nets find in a copy of `longest` pixels."""
        small = shrunk(image, longest)
        planes = tensor_of(_padded(small), self.device)
        restored = image_of(self.separate(planes, self.locate(planes)))
        restored = restored[: small.shape[0], : small.shape[1]]
        if not np.isfinite(restored).all():
            log.info(
                "the output of the net against reflections is not finite: the image is unchanged"
            )
            return image
        if small is image:
            return restored.clip(0, 1)
        change = cv2.resize(
            restored.clip(0, 1) - small, image.shape[1::-1], interpolation=cv2.INTER_CUBIC
        )
        return np.clip(image + np.asarray(change, np.float32), 0, 1)


def load(location: Path, separation: Path, device: torch.device) -> Separate:
    """Load RD.pth and RR.pth, whose authors state no licence."""
    locate = location_net(read_tensors(location))
    separate = SeparationNet.of(read_tensors(separation), None)
    return Separate(locate.to(device), separate.to(device), device)


def _padded(image: Image) -> Image:
    below, right = (max(0, MIN_SIDE - side) for side in image.shape[:2])
    padded = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REFLECT)
    return np.asarray(padded, np.float32)
