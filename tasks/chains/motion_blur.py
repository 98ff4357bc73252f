"""Category C, figure 4 of the paper: the whole image is sharpened again, then its faces."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from storage import weights
from storage.photos import Image
from storage.settings import PaperSettings
from tasks.chains.restorer import Restorer
from tasks.engines import deblurring
from tasks.receipt import Receipt
from tasks.verdict import Verdict

if TYPE_CHECKING:
    import torch

    from tasks.paper.restorers.faces import MendFaces


@dataclass(frozen=True)
class MotionBlur:
    """Undoes the movement of the camera, and gives faces back what it took from them."""

    deblur: Restorer
    mend_faces: Callable[[Image], tuple[Image, int, Sequence[str]]] | None = None
    """Image → image, how many faces were changed, and why others were not; None: none may be."""
    nets: str = ""
    """For the receipt: the networks and their weights; so is the next."""
    face_nets: str = ""
    scale: int = 1

    def __call__(self, image: Image, verdict: Verdict, receipt: Receipt) -> Image:
        """Restore an image as far as `verdict` asks for, and note each step in `receipt`."""
        with receipt.step("deblur", nets=self.nets):
            image = self.deblur(image, verdict)
        if self.mend_faces is None:
            return image
        with receipt.step("restore faces", nets=self.face_nets) as facts:
            image, restored, refused = self.mend_faces(image)
            facts |= {"found": restored + len(refused), "restored": restored}
            facts["refused"] = dict(Counter(refused))
        receipt.generative |= restored > 0
        return image


def lite() -> MotionBlur:
    """Build the chain from parts that need no weights."""
    from tasks.lite.motion import undo_movement

    return MotionBlur(undo_movement)


def paper(known: PaperSettings, *, faces: bool) -> MotionBlur:
    """Build the chain from NAFNet and, if `known` and `faces` allow it, a net that knows faces.

    Raises:
        WeightsMissing, WeightsWrong: weights are not here, or not what they should be.

    """
    from tasks.paper.restorers import nafnet
    from tasks.paper.tensors import best_device

    device = best_device()
    name = deblurring()
    deblur = nafnet.load(weights.path(name), device)
    if not (faces and known.faces == "on"):
        return MotionBlur(deblur, nets=weights.told(name))
    mend_faces = _mend_faces(known, device)
    return MotionBlur(deblur, mend_faces, weights.told(name), weights.told(known.face_net))


def _mend_faces(known: PaperSettings, device: "torch.device") -> "MendFaces":
    """Build what restores faces; its net is only checked now, and loaded for the first face."""
    from tasks.paper.detectors.faces import FindFaces
    from tasks.paper.restorers.face_nets import codeformer, gfpgan, when_needed
    from tasks.paper.restorers.faces import MendFaces

    file = weights.path(known.face_net)
    load = {
        "CodeFormer": partial(codeformer, file, device, known.fidelity),
        "GFPGANv1.4": partial(gfpgan, file, device),
    }[known.face_net]
    find = FindFaces(weights.path("YuNet"))
    return MendFaces(find, when_needed(load), device, faithful=known.faithful)
