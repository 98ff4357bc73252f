"""The settings of the paper engine, `[paper]`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from storage.enums import QUEUES, DeblurringNet, EnlargingNet, FaceNet
from storage.settings_values import Check

Steps = Annotated[
    tuple[str, ...],
    Check(lambda steps: set(steps) <= set(QUEUES), f"a list of some of {', '.join(QUEUES)}"),
]
Share = Annotated[float, Check(lambda share: share <= 1, "a number from 0 to 1")]


@dataclass(frozen=True)
class PaperSettings:
    """How the paper engine works."""

    steps: Steps = QUEUES
    """The steps that the paper engine takes, by their queues' names; lite takes the others."""
    faithful: bool = False
    """Whether to follow the paper to the letter: its prompt with one picture, no second opinion,
    results four times the photo's size, faces pasted as published."""
    classifier: str = "Qwen2.5-VL-7B-Instruct"
    """The vision-language model: the name of its weights, or the path of a folder with a model. With
    less than 16 GB of GPU memory, take `Qwen3-VL-4B-Instruct`."""
    classifier_url: str = ""
    """If set, a server that speaks OpenAI's chat completions classifies instead."""
    classifier_net: str = "qwen2.5vl:7b"
    """The server's name of the model."""
    classifier_key: str = ""
    """The server's API key; empty if it needs none."""
    enlarge: Literal[1, 2, 4] = 1
    """How many times larger than the photo a result of super-resolution is, in width and height."""
    enlarging_net: EnlargingNet = EnlargingNet.INVSR
    """The network that restores the whole image in super-resolution. InvSR is not for commercial use."""
    invsr_steps: Literal[1, 2, 3, 4, 5] = 1
    """Diffusion steps of InvSR. More invent more detail and take longer."""
    reflection_detector: Path | None = None
    """File of a YOLO that was fitted to reflections and that ultralytics can load."""
    reflection_segmenter: Path | None = None
    """File of a YOSO that was fitted to reflections."""
    reflection_classes: tuple[str, ...] = ("reflection",)
    """The detector's names of the classes that are reflections."""
    reflection_strength: Share = 1.0
    """How much of a weak reflection is removed, from 0 (nothing) to 1 (all that is found)."""
    keep_reflection: bool = False
    """Whether to write what was removed to `reflections/<job>.png` in the state folder."""
    deblurring_net: DeblurringNet = DeblurringNet.REDS
    """The network that removes motion blur; `NAFNet-GoPro-width64` is that of the paper's tables."""
    faces: bool = False
    """Whether networks may change faces, where the person stays the same."""
    face_net: FaceNet = FaceNet.CODEFORMER
    """The network that restores faces. CodeFormer is not for commercial use."""
    fidelity: Share = 0.8
    """CodeFormer's weight: 0 gives the better face, 1 the same person."""
