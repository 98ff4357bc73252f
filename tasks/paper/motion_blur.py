"""Build the chain of category C: NAFNet, then CodeFormer or GFPGAN on each face."""

from functools import partial

import torch

from storage import weights
from storage.settings_paper import PaperSettings
from tasks.chains.motion_blur import MotionBlur
from tasks.paper.detectors.faces import FindFaces
from tasks.paper.restorers import nafnet
from tasks.paper.restorers.face_nets import codeformer, gfpgan, loaded_when_needed
from tasks.paper.restorers.faces import MendFaces
from tasks.paper.tensors import best_device


def motion_blur(paper: PaperSettings, *, faces: bool) -> MotionBlur:
    """Build the chain from NAFNet and, if `paper` and `faces` allow it, a net for faces.

    Raises:
        WeightsMissing, WeightsWrong: weights are missing or damaged.

    """
    device = best_device()
    name = paper.deblurring_net
    deblur = nafnet.load(weights.path(name), device)
    if not (faces and paper.faces):
        return MotionBlur(deblur, nets=weights.description(name))
    mend_faces = _mend_faces(paper, device)
    return MotionBlur(
        deblur, mend_faces, weights.description(name), weights.description(paper.face_net)
    )


def _mend_faces(paper: PaperSettings, device: torch.device) -> MendFaces:
    """Build the restorer of faces. Its weights are checked now, and loaded for the first face."""
    file = weights.path(paper.face_net)
    load = {
        "CodeFormer": partial(codeformer, file, device, paper.fidelity),
        "GFPGANv1.4": partial(gfpgan, file, device),
    }[paper.face_net]
    find = FindFaces(weights.path("YuNet"))
    return MendFaces(find, loaded_when_needed(load), device, faithful=paper.faithful)
