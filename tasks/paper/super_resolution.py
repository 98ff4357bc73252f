"""Build and run the chain of category A: InvSR, Real-ESRGAN on text, and the fusion of both."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from storage import atomic_files, weights
from storage.enums import EnlargingNet
from storage.photos import Image
from storage.settings import settings
from storage.settings_paper import PaperSettings
from tasks.chains import Restorer
from tasks.imaging.text_detection import Polygon
from tasks.paper.detectors.faces import FindFaces
from tasks.paper.detectors.paddle_text import find_polygons
from tasks.paper.pace import tile_seconds
from tasks.paper.restorers import invsr, real_esrgan, text_gate
from tasks.paper.restorers.colour_fix import by_wavelets, resized
from tasks.paper.restorers.kept_faces import KeepFaces
from tasks.paper.restorers.overlap import Place
from tasks.paper.restorers.resolution import NETS_SCALE, Resolution, resolution_of
from tasks.paper.restorers.text_fusion import Gate, fuse_text, text_mask
from tasks.paper.tensors import best_device
from tasks.receipt import Receipt
from tasks.verdict import Verdict

SEED = 2506_05450
"""Seed of InvSR's noise, so that a photo always gives the same result."""
MAX_SECONDS = 3600.0
"""Longest time that a network may take for a photo; lite's networks restore what would take longer."""
PATCH = 128
"""Side in pixels of the patch on which the time of a network is measured."""
PROMPT_FILE = "invsr-prompt.safetensors"
"""File of the prompt's embedding, in the state folder."""


@dataclass(frozen=True)
class WholeNet:
    """A network that enlarges the whole image four times, tile by tile."""

    name: str
    enlarge: Callable[[Image, Place], Image]
    """Tile and its place → image."""
    overlap: float
    """How often it computes each pixel, since its patches and the tiles overlap."""
    weights: tuple[str, ...] = ()
    """The names of its weights, without those of Real-ESRGAN."""


@dataclass(frozen=True)
class Enlargement:
    """Restores the whole image and its text by nets that enlarge, at its effective resolution."""

    enlarge: Callable[[Image, Place], Image]
    """Tile and its place → image of four times the size; may invent detail, keeps the colours."""
    find_text: Callable[[Image], Sequence[Polygon]]
    enlarge_text: Callable[[Image], Image]
    """Image → image of four times the size, in which letters stay readable."""
    gate: Gate
    """Which restored lines of text are kept."""
    keep_faces: Callable[[Image, Image], tuple[Image, int, int]]
    """Restored image and photo → image, number of restored faces, number of the photo's own."""
    clean: Restorer
    """Restores photos that have too many pixels of detail for `enlarge`."""
    scale: int
    """Factor between the sides of the photo and of the result."""
    seconds: Callable[[Image, Resolution], float] = lambda image, resolution: 0.0
    """The time that `enlarge` takes for a whole image."""
    nets: str = ""
    """Networks and weights, for the receipt."""
    faithful: bool = False
    """Do as the paper does: enlarge the photo four times without shrinking it first."""

    def __call__(self, image: Image, verdict: Verdict, receipt: Receipt) -> Image:
        """Restore an image, and note each step in `receipt`."""
        resolution = (
            Resolution(1, self.scale) if self.faithful else resolution_of(image, self.scale)
        )
        with receipt.step("find text") as facts:
            polygons = self.find_text(image)
            facts["lines"] = len(polygons)
            receipt.text = text_mask(image.shape[:2], polygons, 1)
        if resolution is None:
            return self._cleaned(image, verdict, receipt, "has too much detail to be enlarged")
        seconds = self.seconds(image, resolution)
        if seconds > MAX_SECONDS:
            why = f"would take {seconds / 3600:.1f} hours on this device"
            return self._cleaned(image, verdict, receipt, why)
        receipt.generative = True
        shrunk = round(resolution.shrink, 2)
        with receipt.step("restore the whole image", nets=self.nets, shrunk_by=shrunk):
            whole = resolution.restored_by_tiles(image, self.enlarge)
        if polygons:
            with receipt.step("restore text and fuse") as facts:
                restore = partial(resolution.restored, enlarge=self.enlarge_text)
                fused = fuse_text(whole, image, polygons, restore, self.gate)
                facts |= {"kept": fused.kept, "refused": fused.refused}
                whole = fused.image
        with receipt.step("keep faces") as facts:
            result, facts["restored"], facts["own"] = self.keep_faces(whole, image)
            return result

    def _cleaned(self, image: Image, verdict: Verdict, receipt: Receipt, why: str) -> Image:
        with receipt.step(f"clean the whole image, which {why}"):
            cleaned = self.clean(image, verdict)
            return resized(cleaned, (self.scale * image.shape[0], self.scale * image.shape[1]))


def super_resolution(paper: PaperSettings, clean: Restorer, *, faces: bool) -> Enlargement:
    """Build the chain. `clean` restores photos that have too many pixels of detail to be enlarged.

    Faces are restored only if `paper` and `faces` allow it, and if they stay the same.

    Raises:
        WeightsMissing, WeightsWrong: weights are missing or damaged.

    """
    device = best_device()
    half = torch.float16 if device.type == "cuda" else torch.float32
    text_net = real_esrgan.load(weights.path("RealESRGAN_x4plus"), device, half)
    match paper.enlarging_net:
        case EnlargingNet.INVSR:
            net = _invsr(paper, device, half)
        case EnlargingNet.REAL_ESRGAN:
            net = WholeNet("Real-ESRGAN", lambda tile, place: text_net(tile), overlap=1.3)

    def enlarge(tile: Image, place: Place) -> Image:
        return np.clip(by_wavelets(net.enlarge(tile, place), tile), 0, 1)

    def seconds(image: Image, resolution: Resolution) -> float:
        patch = np.zeros((PATCH, PATCH, 3), np.float32)
        by_patch = tile_seconds(net.name, device, partial(net.enlarge, patch, (0, 0)))
        return by_patch * net.overlap * resolution.pixels(image) / PATCH**2

    scale = NETS_SCALE if paper.faithful else paper.enlarge
    nets = ", ".join(map(weights.description, (*net.weights, "RealESRGAN_x4plus")))
    keep_faces = KeepFaces(FindFaces(weights.path("YuNet")), allowed=faces and paper.faces)
    return Enlargement(
        enlarge, find_polygons, text_net, text_gate.unchanged, keep_faces, clean, scale, seconds,
        nets, paper.faithful,
    )  # fmt: skip


def _invsr(paper: PaperSettings, device: torch.device, dtype: torch.dtype) -> WholeNet:
    net = invsr.load(
        weights.path("sd-turbo"), weights.path("InvSR"), _prompt(), device, dtype,
        steps=paper.invsr_steps,
    )  # fmt: skip
    return WholeNet(
        f"InvSR, {paper.invsr_steps} steps", lambda tile, place: net(tile, generator_of(place)),
        overlap=5.2, weights=("sd-turbo", "InvSR"),
    )  # fmt: skip


def generator_of(place: Place) -> torch.Generator:
    """Return the generator of the noise of a tile: the same for the same tile, another for others."""
    top, left = place
    seed = (SEED + (top << 16) + left) % 2**32  # torch ignores more bits
    return torch.Generator().manual_seed(seed)


def _prompt() -> Tensor:
    """Return the embedding of InvSR's prompt, from its file if that exists, else compute it."""
    file: Path = settings().state_dir / PROMPT_FILE
    if file.is_file():
        return load_file(file)["prompt"]
    embedding = invsr.embed_prompt(weights.path("sd-turbo-text"))
    with atomic_files.replacing(file) as temporary:
        save_file({"prompt": embedding}, temporary)
    return embedding
