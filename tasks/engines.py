"""Which engine takes a step: what the settings ask for and, with `auto`, what this machine can do."""

import shutil
from functools import cache
from pathlib import Path

from storage import weights
from storage.kinds import AUTO, CLASSIFY, Category, EngineName
from storage.origins import TABLE
from storage.settings import PaperSettings, settings


@cache
def engine_of(step: str) -> EngineName:
    """Return the engine that takes a step, named like its queue, in this process."""
    known = settings()
    if step not in known.paper.steps:
        return EngineName.LITE
    if known.engine != AUTO:
        return EngineName(known.engine)
    served = step == CLASSIFY and known.paper.classifier_url
    able = shutil.which("nvidia-smi") is not None and not missing(step, known.paper)
    return EngineName.PAPER if served or able else EngineName.LITE


def missing(step: str, known: PaperSettings) -> list[str]:
    """Return the weights that the paper engine lacks for a step, by their names."""
    return [name for name in needs(step, known) if not weights.is_here(name)]


def needs(step: str, known: PaperSettings) -> list[str]:
    """Return the weights that the paper engine needs for a step, by their names."""
    match step:
        case "classify" if known.classifier_url or Path(known.classifier).is_absolute():
            return []
        case "classify":
            return [known.classifier]
        case Category.SUPER_RESOLUTION:
            return ["sd-turbo", "sd-turbo-text", "InvSR", "RealESRGAN_x4plus"]
        case Category.REFLECTION:  # nothing is painted over unless something finds it
            found = known.reflection_detector or known.reflection_segmenter
            return ["big-lama"] if found else ["RRW"]
        case Category.MOTION_BLUR:
            faces = ["YuNet", known.face_net] if known.faces == "on" else []
            return [deblurring(), *faces]
        case _:
            return []


def deblurring() -> str:
    """Name the first NAFNet of the table of weights that is here; if none is, the first of all."""
    nets = [known.name for known in TABLE if known.name.startswith("NAFNet-")]
    return next((name for name in nets if weights.is_here(name)), nets[0])
