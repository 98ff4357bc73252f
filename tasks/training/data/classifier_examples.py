"""Spoil clean photos in every way or two, and tell how severely: what the classifier learns from."""

from dataclasses import dataclass

import torch
from torch import Tensor

from storage.enums import Degradation
from tasks.imaging.light import GAMMA
from tasks.training.data import motion_kernels
from tasks.training.data.augmentations import as_taken
from tasks.training.data.blur import gaussians, spread
from tasks.training.data.compression import in_8_bits, jpeg
from tasks.training.data.degradations import MARGIN, Batch, crops, cut, reflected
from tasks.training.data.noise import noise
from tasks.training.data.random_draws import log_uniform, uniform


@dataclass(frozen=True)
class Labelled:
    """Images and the severity of each degradation in them, (B, 5), in the order of the kinds."""

    images: Tensor
    severities: Tensor


RAMPS: dict[Degradation, tuple[float, float]] = {
    Degradation.NOISE: (1.5, 5.0),
    Degradation.COMPRESSION: (92.0, 75.0),
    Degradation.SOFTNESS: (0.4, 0.8),
    Degradation.MOTION: (3.0, 6.0),
    Degradation.REFLECTION: (0.015, 0.05),
}
"""The amounts that mean a severity of 0 and of 1: sigma of 255, quality of the JPEG file, sigma in
pixels, extent in pixels, and the root mean square of what a reflection changes."""


def labelled(tiles: Tensor, count: int, side: int, chance: torch.Generator) -> Labelled:
    """Cut crops and spoil them in any way or two, in the order in which a camera does it.

    A quarter stay clean; of all, some are varied in ways that are no degradation (`scenes`).
    """
    images = as_taken(crops(tiles, count, side + MARGIN, chance), chance)
    others = crops(tiles, count, side + MARGIN, chance)
    chosen = _chosen(count, chance, images.device)
    severities = torch.zeros_like(chosen, dtype=images.dtype)
    for column, kind in enumerate(Degradation):
        if kind not in (Degradation.REFLECTION, Degradation.SOFTNESS, Degradation.MOTION):
            continue
        at = torch.nonzero(chosen[:, column]).flatten()
        if len(at):
            images[at], severities[at, column] = _blurred_or_mirrored(
                kind, images[at], others[at], chance
            )
    for column, kind in ((0, Degradation.NOISE), (1, Degradation.COMPRESSION)):
        at = torch.nonzero(chosen[:, column]).flatten()
        if len(at):
            images[at], severities[at, column] = _roughened(kind, images[at], chance)
    unsaved = torch.nonzero(~chosen[:, 1]).flatten()[::2]  # good files are compressed, too
    if len(unsaved):
        quality = uniform((len(unsaved),), 88, 99, chance, images)
        images[unsaved] = jpeg(images[unsaved], quality, chance)
    return Labelled(cut(Batch(images, in_8_bits(images)), side, chance).spoilt, severities)


def _chosen(count: int, chance: torch.Generator, device: torch.device) -> Tensor:
    """Choose none, one or two degradations for each image, (B, 5); never both kinds of blur."""
    order = torch.rand((count, len(Degradation)), generator=chance, device=device).argsort(1)
    number = torch.multinomial(
        torch.tensor([0.25, 0.4, 0.35], device=device), count, True, generator=chance
    )
    chosen: Tensor = order < number[:, None]
    chosen[:, 2] &= ~chosen[:, 3]
    return chosen


def _blurred_or_mirrored(
    kind: Degradation, images: Tensor, others: Tensor, chance: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return images with one degradation of their light, and its severities (B,)."""
    count = len(images)
    light = images**GAMMA
    match kind:
        case Degradation.SOFTNESS:
            amount = log_uniform((count,), 0.4, 3, chance, images)
            light = spread(light, gaussians(amount))
        case Degradation.MOTION:
            kernels, amount = motion_kernels.kernels_and_extents(count, 3, 32, chance)
            light = spread(light, kernels.to(images))
        case _:
            seen = reflected(images, others, chance)
            amount = (seen - images).square().mean((1, 2, 3)).sqrt()
            return seen, severity(kind, amount)
    return light.clamp(0, 1) ** (1 / GAMMA), severity(kind, amount)


def _roughened(kind: Degradation, images: Tensor, chance: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return images with noise or compression, and its severities (B,)."""
    if kind is Degradation.NOISE:
        sigma = log_uniform((len(images),), 1, 40, chance, images)
        noisy = images + noise(images, sigma[:, None, None, None] / 255, chance)
        return noisy.clamp(0, 1), severity(kind, sigma)
    quality = uniform((len(images),), 10, 92, chance, images)
    return jpeg(images, quality, chance), severity(kind, quality)


def severity(kind: Degradation, amount: Tensor) -> Tensor:
    """Return how bad amounts of a degradation are, in the units of `RAMPS`."""
    nothing, all_of_it = RAMPS[kind]
    return ((amount - nothing) / (all_of_it - nothing)).clamp(0, 1)
