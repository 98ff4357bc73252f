"""Category B, figure 3 of the paper: strong reflections are painted over, weak ones reduced."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from storage.photos import Image
from storage.settings import PaperSettings
from tasks.chains.restorer import Restorer
from tasks.imaging.light import Plane
from tasks.receipt import Receipt
from tasks.verdict import Verdict

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Reflection:
    """Paints over what a strong reflection hides, then reduces the rest."""

    find_strong: Callable[[Image], Plane]
    """Image → mask (H, W), at least 0.5 where a reflection hides the scene."""
    inpaint: Callable[[Image, Plane], Image]
    reduce_weak: Restorer | None
    """None where there is nothing that could."""
    strength: float = 1.0
    """How much of a weak reflection is taken away, 0 to 1."""
    detectors: tuple[str, ...] = ()
    """The files that find strong reflections, for the receipt."""
    scale: int = 1

    def __call__(self, image: Image, verdict: Verdict, receipt: Receipt) -> Image:
        """Restore an image as far as `verdict` asks for, and note each step in `receipt`."""
        with receipt.step("find strong reflections", detectors=list(self.detectors)) as facts:
            mask = self.find_strong(image)
            facts["masked_share"] = round(float((mask >= 0.5).mean()), 4)
        if (mask >= 0.5).any():
            with receipt.step("inpaint strong reflections"):
                image = self.inpaint(image, mask)
            receipt.generative = True
        if self.reduce_weak is None:
            return image
        with receipt.step("reduce weak reflections", strength=self.strength):
            return _blended(image, self.reduce_weak(image, verdict), self.strength)


def lite() -> Reflection:
    """Build the chain of the lite engine: it takes a ghost out, lifts a veil, and paints nothing.

    What hides the scene cannot be measured, only recognised, so no mask is made.
    """
    from tasks.lite.ghosts import remove_ghost
    from tasks.lite.lift_veil import lift_veil

    def reduce(image: Image, verdict: Verdict) -> Image:
        return lift_veil(remove_ghost(image, verdict), verdict)

    return Reflection(_nothing, _untouched, reduce)


def paper(known: PaperSettings) -> Reflection:
    """Build the chain of the paper engine from the detectors that the settings name.

    Without any, no strong reflection is found, and RRW must be there: else nothing would be done.
    Beside one it may be missing, then weak reflections stay.

    Raises:
        WeightsMissing, WeightsWrong: weights are not here, or not what they should be.

    """
    from storage import weights
    from tasks.paper.restorers import inpainting
    from tasks.paper.tensors import best_device

    device, strength = best_device(), min(1.0, known.reflection_strength)
    files = [file for file in (known.reflection_detector, known.reflection_segmenter) if file]
    if not files:
        return Reflection(_nothing, _untouched, _against_weak(device), strength)
    return Reflection(
        _strong(known, device),
        inpainting.load(weights.path("big-lama"), device),
        _against_weak(device) if weights.is_here("RRW") else None,
        strength,
        tuple(file.name for file in files),
    )


def _strong(known: PaperSettings, device: "torch.device") -> Callable[[Image], Plane]:
    from storage import weights
    from tasks.imaging.text_detection import find_text
    from tasks.paper.detectors import reflections, yolo
    from tasks.paper.detectors.faces import FindFaces

    spared = [find_text]
    if weights.is_here("YuNet"):
        spared.append(partial(reflections.on_faces, FindFaces(weights.path("YuNet"))))
    detector, segmenter = known.reflection_detector, known.reflection_segmenter
    return reflections.FindReflections(
        yolo.load(detector, known.reflection_classes, device) if detector else None,
        reflections.segmenter(segmenter, device) if segmenter else None,
        spared,
    )


def _against_weak(device: "torch.device") -> Restorer:
    from storage import weights
    from tasks.paper.restorers import separation

    folder = weights.path("RRW")
    return separation.load(folder / "RD.pth", folder / "RR.pth", device)


def _blended(image: Image, reduced: Image, strength: float) -> Image:
    return reduced if strength == 1 else image + np.float32(strength) * (reduced - image)


def _nothing(image: Image) -> Plane:
    return np.zeros(image.shape[:2], np.float32)


def _untouched(image: Image, mask: Plane) -> Image:
    return image
