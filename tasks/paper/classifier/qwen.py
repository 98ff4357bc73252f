"""The paper's classifier: Qwen2.5-VL and a prompt; its answer is read from the logits of four letters.

It runs through transformers' generic classes, from a folder on this machine.
"""

import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import torch
from PIL import Image as Pictures
from safetensors import SafetensorError  # type: ignore[import-not-found,unused-ignore]

from storage import installation
from storage.enums import Category
from storage.errors import GpuBusy, WeightsWrong
from storage.photos import Image
from tasks.paper import archives, gpu
from tasks.paper.classifier.answers import (
    MIN_SCORES,
    Answer,
    ClassifierUnavailable,
    classify,
)
from tasks.paper.classifier.prompt import LETTERS, question, token_category
from tasks.paper.classifier.views import WHOLE_PIXELS, Pixels
from tasks.verdict import Scores, Verdict

MIN_PIXELS = 56 * 56
"""Pixels to which a smaller picture is enlarged: the default of Qwen's image processor."""
RESERVED_BYTES = 3 * 2**30
"""GPU memory that is kept free beside the weights, for about 2000 tokens."""
FOUR_BIT_SHARE = 0.45
"""Size of the weights in 4 bits over their size in 16 bits; vision, embeddings and head keep 16."""
VISION_PART = "visual"
"""The vision encoder, which is never quantised: that would hide fine degradations."""
AS_DATA = {"local_files_only": True, "trust_remote_code": False}
"""Arguments of `from_pretrained`: nothing is downloaded, and no Python file beside the weights is run.

Without the latter, transformers asks on the terminal.
"""
MAX_TOKEN_LENGTH = 4
"""Most characters, as written in the vocabulary, of a token that can be a letter."""


class Placement(StrEnum):
    """Where a net's weights are, and how they are stored."""

    CPU = "CPU"
    GPU = "GPU"
    FOUR_BIT = "GPU, 4 bit"
    SHARED = "GPU and CPU"
    """Weights that do not fit on the GPU stay in main memory and are moved when needed: slow."""


@dataclass(frozen=True)
class Qwen:
    """A net, its processor and the tokens of the letters, ready to run."""

    net: Any
    """A transformers net for images and text; untyped there."""
    processor: Any
    letters: Mapping[Category, Sequence[int]]
    name: str
    faithful: bool = False
    """Do as the paper does: one picture, its prompt, no calibration."""
    min_scores: Scores = field(default_factory=lambda: MIN_SCORES)
    """Smallest score of a confident verdict, for each category."""
    _priors: dict[int, Answer] = field(default_factory=dict, compare=False, repr=False)

    def __call__(self, image: Image, *, jpeg_quality: int | None = None) -> Verdict:
        """Return the verdict on an image, RGB in [0, 1], shape (H, W, 3), any H and W."""
        return classify(
            image, self.ask, self._priors,
            faithful=self.faithful, min_scores=self.min_scores,
            token_pixels=_token_pixels(self.processor),
        )  # fmt: skip

    @torch.inference_mode()
    def ask(self, pictures: Sequence[Pixels]) -> Answer:
        """Return the probability of each letter, in all its spellings, among all first tokens."""
        inputs = self._inputs(pictures).to(self.net.device)
        logits = self.net(**inputs, logits_to_keep=1).logits[0, -1].float()  # (vocabulary,)
        shares = logits.softmax(-1)
        if not bool(shares.isfinite().all()):
            return Answer(dict.fromkeys(Category, 0.0))
        return Answer({one: float(shares[list(ids)].sum()) for one, ids in self.letters.items()})

    def _inputs(self, pictures: Sequence[Pixels]) -> Any:
        content: list[dict[str, object]] = [
            {"type": "image", "image": Pictures.fromarray(picture)} for picture in pictures
        ]
        content.append({"type": "text", "text": question(len(pictures))})
        template = str(self.processor.chat_template)
        # Otherwise reasoning nets begin with their reasoning, not with a letter.
        thinking = {"enable_thinking": False} if "enable_thinking" in template else {}
        return self.processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=True,
            return_dict=True, return_tensors="pt", **thinking,
        )  # fmt: skip


def load(
    folder: Path, device: torch.device, *, faithful: bool = False, wait_for_room: bool = False
) -> Qwen:
    """Load a net from a folder in the published layout; nothing is downloaded.

    Raises:
        GpuBusy: with `wait_for_room`, its placement would be another on a GPU that others do not use.
        ClassifierUnavailable: the folder holds no such net, the device has too little memory, or a
            library is missing.

    """
    placement = _choose_placement(folder, device, wait_for_room=wait_for_room)
    try:
        processor, net, missing = _load_parts(folder, _loading_arguments(placement, device))
    except ImportError as error:
        raise ClassifierUnavailable(
            f"the net in {folder} cannot be loaded, a library cannot be used ({error}); "
            f"{installation.advice(error)}"
        ) from error
    except (OSError, ValueError, RuntimeError, SafetensorError, WeightsWrong) as error:
        if "trust_remote_code" in str(error):
            raise ClassifierUnavailable(
                f"the net in {folder} cannot be loaded: it needs Python files that lie beside its "
                "weights, and photomend runs none; take a net that transformers itself has"
            ) from error
        raise ClassifierUnavailable(f"the net in {folder} cannot be loaded: {error}") from error
    if missing:  # transformers would use random ones
        raise ClassifierUnavailable(
            f"the net in {folder} lacks {len(missing)} weights, {min(missing)} among them"
        )
    _check_template(processor, folder)
    name = f"{folder.name} ({placement}{', as in the paper' if faithful else ''})"
    return Qwen(net, processor, letter_ids(processor.tokenizer), name, faithful)


def _load_parts(folder: Path, arguments: Mapping[str, Any]) -> tuple[Any, Any, set[str]]:
    """Return the processor, the net and the names of the weights that the folder lacks."""
    import transformers  # type: ignore[import-untyped,import-not-found,unused-ignore]

    auto: Any = transformers
    auto.utils.logging.disable_progress_bar()
    archives.check_folder(folder)
    processor = auto.AutoProcessor.from_pretrained(folder, **AS_DATA)
    # In pixels, despite the names; the arguments min_pixels and max_pixels are deprecated.
    size = {"shortest_edge": MIN_PIXELS, "longest_edge": WHOLE_PIXELS}
    processor.image_processor.size = size
    net, report = auto.AutoModelForImageTextToText.from_pretrained(
        folder, dtype="auto", use_safetensors=True, output_loading_info=True, **AS_DATA, **arguments
    )
    return processor, net.eval(), set(report["missing_keys"])


def _check_template(processor: Any, folder: Path) -> None:
    """Render the chat template once; transformers does so in jinja's sandbox."""
    asked = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": ""}]}
    try:
        processor.apply_chat_template([asked], add_generation_prompt=True, tokenize=False)
    except Exception as error:  # whatever a template raises
        raise ClassifierUnavailable(
            f"the chat template of the net in {folder} cannot be used: {error}"
        ) from error


def letter_ids(tokenizer: Any) -> dict[Category, list[int]]:
    """Return the tokens of each letter, with or without a space or a quote.

    Raises:
        ClassifierUnavailable: a letter is not one token.

    """
    ids: dict[Category, list[int]] = {category: [] for category in LETTERS.values()}
    for token, number in sorted(tokenizer.get_vocab().items()):
        if token[-1:] in LETTERS and len(token) <= MAX_TOKEN_LENGTH:
            category = token_category(tokenizer.decode([number]))
            if category is not None:
                ids[category].append(number)
    if missing := [sign for sign, category in LETTERS.items() if not ids[category]]:
        raise ClassifierUnavailable(f"the net's vocabulary has no token for {', '.join(missing)}")
    return ids


def placement_for(weights_bytes: int, free_bytes: int, *, four_bit: bool) -> Placement:
    """Choose the placement of 16-bit weights by free GPU memory; `four_bit`: they can be quantised."""
    room = free_bytes - RESERVED_BYTES
    if weights_bytes <= room:
        return Placement.GPU
    if four_bit and weights_bytes * FOUR_BIT_SHARE <= room:
        return Placement.FOUR_BIT
    return Placement.SHARED if room > 0 else Placement.CPU


def _choose_placement(folder: Path, device: torch.device, *, wait_for_room: bool) -> Placement:
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError) as error:
        raise ClassifierUnavailable(
            f"{folder} holds no net (a folder with config.json and *.safetensors): {error}"
        ) from error
    if device.type != "cuda":
        return Placement.CPU
    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    unquantised = "quantization_config" not in config
    can_quantise = unquantised and importlib.util.find_spec("bitsandbytes") is not None
    free = gpu.free_bytes(device)
    most = max(free, gpu.empty_bytes(device))
    chosen, best = (placement_for(weights, size, four_bit=can_quantise) for size in (free, most))
    if wait_for_room and chosen is not best:
        raise GpuBusy("other workers hold the memory that the classifier needs")
    return chosen


def _loading_arguments(placement: Placement, device: torch.device) -> dict[str, Any]:
    """Return the arguments of `from_pretrained` for a placement."""
    match placement:
        case Placement.CPU:
            return {}
        case Placement.GPU:
            return {"device_map": {"": device}}
        case Placement.SHARED:
            free = gpu.free_bytes(device) - RESERVED_BYTES
            number = torch.cuda.current_device() if device.index is None else device.index
            main = importlib.import_module("psutil").virtual_memory().available
            return {"device_map": "auto", "max_memory": {number: free, "cpu": main}}
        case Placement.FOUR_BIT:
            config = importlib.import_module("transformers").BitsAndBytesConfig(
                load_in_4bit=True, bnb_4bit_quant_type="nf4",
                bnb_4bit_compute_dtype=torch.bfloat16,
                llm_int8_skip_modules=[VISION_PART, f"model.{VISION_PART}", "lm_head"],
            )  # fmt: skip
            return {"device_map": {"": device}, "quantization_config": config}


def _token_pixels(processor: Any) -> int:
    """Return the side in pixels of the square of one token."""
    images = processor.image_processor
    return int(images.patch_size) * int(images.merge_size)
