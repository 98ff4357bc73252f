"""Restore faces by a net for aligned faces, and add its changes to the photo.

The difference between the net's output and its input is added, not the output itself: where the net
changes nothing, no pixel of the photo changes.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from storage.photos import Image
from tasks import progress
from tasks.paper.detectors.faces import Face
from tasks.paper.restorers import identity
from tasks.paper.restorers.alignment import FaceRefused, add_change, align, crop, paste
from tasks.paper.restorers.face_nets import FaceNet
from tasks.paper.tensors import image_of, tensor_of

log = logging.getLogger(__name__)

MAX_GREY_RANGE = 4 / 255
"""Largest difference between the colours of a pixel of a grey photo."""


@dataclass(frozen=True)
class MendFaces:
    """A detector and a face net ready to run: image → image of the same size, any H and W."""

    find: Callable[[Image], Sequence[Face]]
    net: FaceNet
    device: torch.device
    check: Callable[[Image, Image], None] = identity.check
    """Takes an aligned face before and after; raises FaceRefused if it became another."""
    faithful: bool = False
    """Crop and paste faces as published, which also blurs what the net did not change."""

    @torch.inference_mode()
    def __call__(self, image: Image) -> tuple[Image, int, Sequence[str]]:
        """Return the image, the number of restored faces, and why the others were refused."""
        found, result, refused = self.find(image), image.copy(), []
        with progress.of(len(found)) as count:
            for face in found:
                try:
                    self._restore(result, face)
                except FaceRefused as refusal:
                    refused.append(str(refusal))
                count(1)
        restored = len(found) - len(refused)
        log.info("%s of %s faces restored", restored, len(found))
        return result, restored, refused

    def _restore(self, image: Image, face: Face) -> None:
        affine = align(face.points)
        kind = cv2.INTER_LINEAR if self.faithful else cv2.INTER_CUBIC
        aligned = crop(image, affine, kind).clip(0, 1)
        change = self._change(aligned)
        self.check(aligned, aligned + change)
        if self.faithful:
            paste(image, aligned + change, affine).clip(0, 1, out=image)
        else:
            add_change(image, change, affine)

    def _change(self, face: Image) -> Image:
        """Return the change of an aligned face by the net."""
        planes = tensor_of(2 * face - 1, self.device)
        change = image_of((self.net(planes).clamp(-1, 1) - planes) / 2)
        if not np.isfinite(change).all():
            raise FaceRefused("not finite")
        if not change.any():
            raise FaceRefused("nothing to change")
        if float(np.ptp(face, axis=2).max()) < MAX_GREY_RANGE:
            change = np.repeat(change.mean(2, keepdims=True), 3, 2)
        return change
