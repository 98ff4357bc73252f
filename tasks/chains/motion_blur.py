"""Category C, figure 4 of the paper: the whole image is sharpened again, then its faces."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from storage import weights
from storage.origins import TABLE
from storage.photos import Image
from storage.settings import PaperSettings, settings
from storage.weights import State
from tasks.classifiers import Verdict
from tasks.receipt import Receipt
from tasks.restorers import Restorer

if TYPE_CHECKING:
    import torch

    from tasks.restorers.faces import MendFaces


@dataclass(frozen=True)
class MotionBlur:
    """Undoes the movement of the camera, and gives faces back what it took from them."""

    deblur: Restorer
    mend_faces: Callable[[Image], tuple[Image, int, Sequence[str]]] | None = None
    """Image → image, how many faces were changed, and why others were not; None: none may be."""
    scale: int = 1

    def __call__(self, image: Image, verdict: Verdict, receipt: Receipt) -> Image:
        """Restore an image as far as `verdict` asks for, and note each step in `receipt`."""
        with receipt.step("deblur"):
            image = self.deblur(image, verdict)
        if self.mend_faces is None:
            return image
        with receipt.step("restore faces") as facts:
            image, restored, refused = self.mend_faces(image)
            facts |= {"found": restored + len(refused), "restored": restored}
            facts["refused"] = dict(Counter(refused))
        receipt.generative |= restored > 0
        return image


def lite() -> MotionBlur:
    """Build the chain from parts that need no weights."""
    from tasks.restorers.movement import undo_movement

    return MotionBlur(undo_movement)


def paper(known: PaperSettings, *, faces: bool) -> MotionBlur:
    """Build the chain from NAFNet and, if `known` and `faces` allow it, a net that knows faces.

    Raises:
        WeightsMissing, WeightsWrong: weights are not here, or not what they should be.

    """
    from tasks.restorers import nafnet
    from tasks.restorers.tensors import best_device

    device = best_device()
    deblur = nafnet.load(weights.path(_deblurring()), device)
    wanted = faces and known.faces == "on"
    return MotionBlur(deblur, _mend_faces(known, device) if wanted else None)


def _deblurring() -> str:
    """Name the first NAFNet of the table that is here, the first of all if none is."""
    nets = [known for known in TABLE if known.name.startswith("NAFNet-")]
    there = (State.CHECKED, State.THERE)
    here = [net for net in nets if weights.look(net, settings().weights_root) in there]
    return (here or nets)[0].name


def _mend_faces(known: PaperSettings, device: "torch.device") -> "MendFaces":
    """Build what restores faces; its net is only checked now, and loaded for the first face."""
    from tasks.detectors.faces import FindFaces
    from tasks.restorers.face_nets import codeformer, gfpgan, when_needed
    from tasks.restorers.faces import MendFaces

    file = weights.path(known.face_net)
    load = {
        "CodeFormer": partial(codeformer, file, device, known.fidelity),
        "GFPGANv1.4": partial(gfpgan, file, device),
    }[known.face_net]
    find = FindFaces(weights.path("YuNet"))
    return MendFaces(find, when_needed(load), device, faithful=known.faithful)
