"""Restore faces by a net that knows aligned ones, and add_change what it changed into the photo.

Not the net's face is laid back but its difference to what it was given: where it changes nothing,
no bit of the photo changes, whatever the warping does.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from storage.photos import Image
from tasks.paper.detectors.faces import Face
from tasks.paper.restorers import identity
from tasks.paper.restorers.alignment import FaceRefused, add_change, align, crop, paste
from tasks.paper.restorers.face_nets import FaceNet
from tasks.paper.tensors import image_of, tensor_of

log = logging.getLogger(__name__)

MAX_GREY_RANGE = 4 / 255
"""Between the colours of a photo that has none."""


@dataclass(frozen=True)
class MendFaces:
    """A detector and a face net ready to run: image → image of the same size, any H and W."""

    find: Callable[[Image], Sequence[Face]]
    net: FaceNet
    device: torch.device
    check: Callable[[Image, Image], None] = identity.check
    """Takes an aligned face before and after; raises FaceRefused if it is not the same any more."""
    faithful: bool = False
    """Crop and add_change back faces as published, which blurs what the net left as it was."""

    @torch.inference_mode()
    def __call__(self, image: Image) -> tuple[Image, int, Sequence[str]]:
        """Restore the faces that the net can do something for, and count them; say of others why not."""
        found, result, refused = self.find(image), image.copy(), []
        for face in found:
            try:
                self._restore(result, face)
            except FaceRefused as refusal:
                refused.append(str(refusal))
        restored = len(found) - len(refused)
        log.info("%s of %s faces restored", restored, len(found))
        return result, restored, refused

    def _restore(self, image: Image, face: Face) -> None:
        affine = align(face.points)
        kind = cv2.INTER_LINEAR if self.faithful else cv2.INTER_CUBIC
        given = crop(image, affine, kind).clip(0, 1)
        change = self._change(given)
        self.check(given, given + change)
        if self.faithful:
            paste(image, given + change, affine).clip(0, 1, out=image)
        else:
            add_change(image, change, affine)

    def _change(self, face: Image) -> Image:
        """Give what the net changes in an aligned face."""
        planes = tensor_of(2 * face - 1, self.device)
        change = image_of((self.net(planes).clamp(-1, 1) - planes) / 2)
        if not np.isfinite(change).all():
            raise FaceRefused("no numbers")
        if not change.any():
            raise FaceRefused("nothing to change")
        if float(np.ptp(face, axis=2).max()) < MAX_GREY_RANGE:
            change = np.repeat(change.mean(2, keepdims=True), 3, 2)
        return change
