"""Restore faces by a net that knows aligned ones, and lay what it changed into the photo.

Not the net's face is laid back but its difference to what it was given: where it changes nothing,
no bit of the photo changes, whatever the warping does.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import torch
from torch import Tensor

from storage.photos import Image
from tasks.classifiers import Verdict
from tasks.detectors.faces import Face
from tasks.restorers.alignment import align, crop, lay
from tasks.restorers.tensors import image_of, tensor_of

log = logging.getLogger(__name__)

FIDELITY = 0.8
"""CodeFormer's weight, in [0, 1]: what its author advises for photos that are not ruined is 0.7 to 1."""
GREY = 4 / 255
"""Between the colours of a photo that has none."""


@dataclass(frozen=True)
class MendFaces:
    """A detector and a face net ready to run: image → image of the same size, any H and W."""

    find: Callable[[Image], Sequence[Face]]
    net: Callable[[Tensor], Tensor]
    """Takes and gives an aligned face (1, 3, 512, 512), RGB in [-1, 1]."""
    device: torch.device

    @torch.inference_mode()
    def __call__(self, image: Image, verdict: Verdict | None = None) -> Image:
        """Restore each face whose size and pose the net can do something for."""
        result = image.copy()
        affines = [align(face.points) for face in self.find(image)]
        sensible = [affine for affine in affines if affine is not None]
        for affine in sensible:
            face = crop(result, affine, cv2.INTER_CUBIC).clip(0, 1)
            lay(result, self._change(face), affine)
        log.info("%s of %s faces restored", len(sensible), len(affines))
        return result

    def _change(self, face: Image) -> Image:
        """Give what the net changes in an aligned face; nothing if that is no numbers."""
        planes = tensor_of(2 * face - 1, self.device)
        change = image_of((self.net(planes).clamp(-1, 1) - planes) / 2)
        if not np.isfinite(change).all():
            log.info("the net gave a face that is no numbers")
            return np.zeros_like(face)
        if float(np.ptp(face, axis=2).max()) < GREY:
            change = np.repeat(change.mean(2, keepdims=True), 3, 2)
        return change


def codeformer(
    file: Path, device: torch.device, fidelity: float = FIDELITY
) -> Callable[[Tensor], Tensor]:
    """Load CodeFormer, whose licence forbids commercial use, as a net for `MendFaces`.

    `fidelity` goes from 0, a good face, to 1, the same person.
    """
    import spandrel  # type: ignore[import-untyped,import-not-found,unused-ignore]
    import spandrel_extra_arches  # type: ignore[import-untyped,import-not-found,unused-ignore]

    spandrel_extra_arches.install(ignore_duplicates=True)
    loaded = spandrel.ModelLoader(device=device).load_from_file(file).eval()
    # Its own call would clamp to [0, 1].
    return lambda face: cast(Tensor, loaded.model(face, weight=fidelity)[0])
