"""Which engine takes a step, and which weights the paper engine needs for it."""

import dataclasses
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from storage import weights
from storage.enums import (
    CLASSIFY,
    QUEUES,
    Category,
    DeblurringNet,
    EngineChoice,
    EngineName,
    EnlargingNet,
)
from storage.settings import settings
from storage.settings_paper import PaperSettings
from tasks import gpu_probe

CHANGES: tuple[Mapping[str, str | bool | Path], ...] = (
    {"faces": True},
    *({"faces": True, "face_net": name} for name in ("CodeFormer", "GFPGANv1.4")),
    *(
        {"classifier_url": "", "classifier": name}
        for name in ("Qwen2.5-VL-7B-Instruct", "Qwen3-VL-4B-Instruct")
    ),
    {"reflection_detector": Path("FILE")},
    *({"enlarging_net": name} for name in EnlargingNet),
    *({"deblurring_net": name} for name in DeblurringNet),
)
"""Other settings of `[paper]` with which a step may need other weights."""


@cache
def engine_of(step: str) -> EngineName:
    """Return the engine that takes a step, named like its queue, in this process."""
    config = settings()
    if (
        config.engine == EngineChoice.LITE
        or allowed_engine(EngineName.PAPER, step) is EngineName.LITE
    ):
        return EngineName.LITE
    if step == CLASSIFY and config.paper.classifier_url:
        return EngineName.PAPER
    if config.engine == EngineChoice.PAPER:  # on the CPU, if there is no card
        return EngineName.LITE if gpu_probe.gpu().problem else EngineName.PAPER
    able = not missing(step, config.paper) and gpu_probe.gpu().is_usable
    return EngineName.PAPER if able else EngineName.LITE


def needs_device(step: str) -> bool:
    """Return whether a step runs networks of the paper engine in this process, on a GPU if it can."""
    on_server = step == CLASSIFY and bool(settings().paper.classifier_url)
    return engine_of(step) is EngineName.PAPER and not on_server


def allowed_engine(name: EngineName, step: str) -> EngineName:
    """Return the engine that takes a step where the engine `name` is asked for."""
    return name if step in settings().paper.steps else EngineName.LITE


def missing(step: str, paper: PaperSettings) -> list[str]:
    """Return the weights that the paper engine lacks for a step, by their names."""
    return [name for name in needs(step, paper) if not weights.is_present(name)]


def needs(step: str, paper: PaperSettings) -> list[str]:
    """Return the weights that the paper engine needs for a step, by their names."""
    match step:
        case "classify" if paper.classifier_url or own_classifier(paper):
            return []
        case "classify":
            return [paper.classifier]
        case Category.SUPER_RESOLUTION:
            invsr = ["sd-turbo", "sd-turbo-text", "InvSR"]
            first = invsr if paper.enlarging_net is EnlargingNet.INVSR else []
            return [*first, "RealESRGAN_x4plus", "YuNet"]
        case Category.REFLECTION if _has_detector(paper):  # YuNet: no face is painted over
            return ["big-lama", "YuNet"]
        case Category.REFLECTION:
            return ["RRW"]
        case Category.MOTION_BLUR:
            faces = ["YuNet", paper.face_net] if paper.faces else []
            return [paper.deblurring_net, *faces]
        case _:
            return []


def uses_if_here(step: str, paper: PaperSettings) -> list[str]:
    """Return the weights without which a step works, but which it uses if they are here."""
    return ["RRW"] if step == Category.REFLECTION and _has_detector(paper) else []


def needed_by(name: str, paper: PaperSettings) -> list[str]:
    """Return the steps of the paper engine that need some weights."""
    return [step for step in paper.steps if _has(needs(step, paper), name)]


def needed_if(name: str, paper: PaperSettings) -> str:
    """Return which step uses weights that no step needs, and when; nothing if none ever does."""
    for step in QUEUES:
        if _has(needs(step, paper), name):
            return f"{step}, if it is in steps"
        if name in uses_if_here(step, paper):
            return f"{step}, if it is here"
    for change in CHANGES:
        changed = dataclasses.replace(paper, **change)  # type: ignore[arg-type]  # as their fields
        if by := [step for step in QUEUES if _has(needs(step, changed), name)]:
            return f"{by[0]}, with {_as_toml(change, paper)}"
    return ""


def _has_detector(paper: PaperSettings) -> bool:
    return bool(paper.reflection_detector or paper.reflection_segmenter)


def _has(names: list[str], name: str) -> bool:
    return name.lower() in map(str.lower, names)


def _as_toml(change: Mapping[str, str | bool | Path], paper: PaperSettings) -> str:
    """Return the changed settings as TOML."""
    new = {key: value for key, value in change.items() if getattr(paper, key) != value}
    return ", ".join(f"{key} = {json.dumps(value, default=str)}" for key, value in new.items())


def own_classifier(paper: PaperSettings) -> Path | None:
    """Return the folder of a model of the owner's own, None if weights are named instead."""
    folder = Path(paper.classifier).expanduser()
    return folder if folder.is_absolute() else None
