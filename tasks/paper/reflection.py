"""Build the chain of category B: YOLO and YOSO, LaMa, and RRW."""

from collections.abc import Callable
from functools import partial

import torch

from storage import weights
from storage.photos import Image
from storage.settings_paper import PaperSettings
from tasks.chains import Restorer
from tasks.chains.reflection import Reflection, nothing_hidden, unpainted
from tasks.imaging.light import Plane
from tasks.imaging.text_detection import find_text
from tasks.paper.detectors import reflections, yolo
from tasks.paper.detectors.faces import FindFaces
from tasks.paper.restorers import inpainting, separation
from tasks.paper.tensors import best_device


def reflection(paper: PaperSettings) -> Reflection:
    """Build the chain of the paper engine from the detectors that the settings name.

    Without a detector, nothing is painted over, and RRW is required. With one, RRW is optional:
    without it, weak reflections stay. YuNet and a text detector protect faces and text.

    Raises:
        WeightsMissing, WeightsWrong: weights are missing or damaged.

    """
    device, strength = best_device(), min(1.0, paper.reflection_strength)
    files = [file for file in (paper.reflection_detector, paper.reflection_segmenter) if file]
    if not files:
        return Reflection(nothing_hidden, unpainted, _reduce_weak(device), strength)
    return Reflection(
        _find_strong(paper, device),
        inpainting.load(weights.path("big-lama"), device),
        _reduce_weak(device) if weights.is_present("RRW") else None,
        strength,
        tuple(file.name for file in files),
    )


def _find_strong(paper: PaperSettings, device: torch.device) -> Callable[[Image], Plane]:
    face_mask = partial(reflections.face_mask, FindFaces(weights.path("YuNet")))
    detector, segmenter = paper.reflection_detector, paper.reflection_segmenter
    return reflections.FindReflections(
        yolo.load(detector, paper.reflection_classes, device) if detector else None,
        reflections.load_segmenter(segmenter, device) if segmenter else None,
        [find_text, face_mask],
    )


def _reduce_weak(device: torch.device) -> Restorer:
    folder = weights.path("RRW")
    return separation.load(folder / "RD.pth", folder / "RR.pth", device)
