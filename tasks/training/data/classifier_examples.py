"""Make training examples of the classifier: degraded crops with their severities."""

from dataclasses import dataclass

import torch
from torch import Tensor

from storage.enums import Degradation
from tasks.imaging.light import GAMMA
from tasks.training.data import motion_kernels
from tasks.training.data.augmentations import augmented
from tasks.training.data.blur import gaussians, spread
from tasks.training.data.compression import in_8_bits, jpeg
from tasks.training.data.degradations import MARGIN, Batch, crops, cut, reflected
from tasks.training.data.noise import noise
from tasks.training.data.random_draws import log_uniform, uniform


@dataclass(frozen=True)
class Labelled:
    """Images (B, 3, H, W), and severities (B, 5) in the order of `Degradation`."""

    images: Tensor
    severities: Tensor


SEVERITY_RAMPS: dict[Degradation, tuple[float, float]] = {
    Degradation.NOISE: (1.5, 5.0),
    Degradation.COMPRESSION: (92.0, 75.0),
    Degradation.SOFTNESS: (0.4, 0.8),
    Degradation.MOTION: (3.0, 6.0),
    Degradation.REFLECTION: (0.015, 0.05),
}
"""The amounts of severity 0 and 1: noise as sigma of 255, JPEG quality, blur as sigma in pixels,
extent of a movement in pixels, root mean square change by a reflection."""


def labelled(tiles: Tensor, count: int, side: int, rng: torch.Generator) -> Labelled:
    """Cut crops, and apply none, one or two degradations, in the order in which they happen.

    A quarter stays clean; before, some of all are varied by `augmented`.
    """
    images = augmented(crops(tiles, count, side + MARGIN, rng), rng)
    others = crops(tiles, count, side + MARGIN, rng)
    chosen = _chosen(count, rng, images.device)
    severities = torch.zeros_like(chosen, dtype=images.dtype)
    for column, kind in enumerate(Degradation):
        if kind not in (Degradation.REFLECTION, Degradation.SOFTNESS, Degradation.MOTION):
            continue
        at = torch.nonzero(chosen[:, column]).flatten()
        if len(at):
            images[at], severities[at, column] = _blurred_or_reflected(
                kind, images[at], others[at], rng
            )
    for column, kind in ((0, Degradation.NOISE), (1, Degradation.COMPRESSION)):
        at = torch.nonzero(chosen[:, column]).flatten()
        if len(at):
            images[at], severities[at, column] = _noisy_or_compressed(kind, images[at], rng)
    uncompressed = torch.nonzero(~chosen[:, 1]).flatten()[::2]  # good files are compressed too
    if len(uncompressed):
        quality = uniform((len(uncompressed),), 88, 99, rng, images)
        images[uncompressed] = jpeg(images[uncompressed], quality, rng)
    return Labelled(cut(Batch(images, in_8_bits(images)), side, rng).degraded, severities)


def _chosen(count: int, rng: torch.Generator, device: torch.device) -> Tensor:
    """Choose up to two degradations for each image, (B, 5) bool; never softness and motion."""
    order = torch.rand((count, len(Degradation)), generator=rng, device=device).argsort(1)
    number = torch.multinomial(
        torch.tensor([0.25, 0.4, 0.35], device=device), count, True, generator=rng
    )
    chosen: Tensor = order < number[:, None]
    chosen[:, 2] &= ~chosen[:, 3]
    return chosen


def _blurred_or_reflected(
    kind: Degradation, images: Tensor, others: Tensor, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return images with a blur or a reflection, and their severities (B,)."""
    count = len(images)
    light = images**GAMMA
    match kind:
        case Degradation.SOFTNESS:
            amount = log_uniform((count,), 0.4, 3, rng, images)
            light = spread(light, gaussians(amount))
        case Degradation.MOTION:
            kernels, amount = motion_kernels.kernels_and_extents(count, 3, 32, rng)
            light = spread(light, kernels.to(images))
        case _:
            degraded = reflected(images, others, rng)
            amount = (degraded - images).square().mean((1, 2, 3)).sqrt()
            return degraded, severity(kind, amount)
    return light.clamp(0, 1) ** (1 / GAMMA), severity(kind, amount)


def _noisy_or_compressed(
    kind: Degradation, images: Tensor, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return images with noise or compression, and their severities (B,)."""
    if kind is Degradation.NOISE:
        sigma = log_uniform((len(images),), 1, 40, rng, images)
        noisy = images + noise(images, sigma[:, None, None, None] / 255, rng)
        return noisy.clamp(0, 1), severity(kind, sigma)
    quality = uniform((len(images),), 10, 92, rng, images)
    return jpeg(images, quality, rng), severity(kind, quality)


def severity(kind: Degradation, amount: Tensor) -> Tensor:
    """Return the severities of amounts of a degradation, in the units of `SEVERITY_RAMPS`."""
    zero, one = SEVERITY_RAMPS[kind]
    return ((amount - zero) / (one - zero)).clamp(0, 1)
