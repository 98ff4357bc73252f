"""Spoil clean images by known amounts, a batch at a time, on whatever device they lie.

Light is blurred and reflected as light (`tasks.light`), noise and compression are those of a file.
Images are float32 tensors (B, 3, H, W), RGB in [0, 1]; each of a batch is spoilt by another amount.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

import torch
from torch import Tensor
from torch.nn import functional

from storage.kinds import Degradation
from tasks.light import GAMMA
from tasks.restorers.shrinkage import BRIGHTNESS_STEPS, COLOUR_STEPS, COSINES
from tasks.training import shake

MARGIN = 64
"""Pixels that are made more than asked for: blur goes round at the border, and blocks of 8 by 8
must begin anywhere in what is kept."""
REACH = 20
"""Of those, so many on each side are never kept: the largest kernel's half."""


class Recipe(StrEnum):
    """What a restorer learns to undo."""

    NOISE = "noise"
    DETAIL = "detail"
    """Compression and softness: what both take away is fine detail."""
    MOTION = "motion"
    REFLECTION = "reflection"


@dataclass(frozen=True)
class Batch:
    """Images before and after a degradation."""

    clean: Tensor
    spoilt: Tensor


def make(recipe: Recipe, tiles: Tensor, count: int, side: int, chance: torch.Generator) -> Batch:
    """Cut `count` crops of `side` pixels out of uint8 tiles (N, 3, S, S), and spoil them.

    About one in eight stays as it is, or nearly: to leave a good image alone must be learnt, too.
    """
    images = crops(tiles, count, side + MARGIN, chance)
    kept = _uniform((count, 1, 1, 1), 0, 1, chance, images) > 0.12
    match recipe:
        case Recipe.NOISE:
            target = torch.where(
                _one_in(3, images, chance), _soft(images, 0.3, 1.2, chance), images
            )
            spoilt = _noised(target, kept, chance)
        case Recipe.DETAIL:
            target, spoilt = images, _coarsened(images, kept, chance)
        case Recipe.MOTION:
            target, spoilt = images, _shaken(images, kept, chance)
        case Recipe.REFLECTION:
            target = images
            spoilt = _reflected(images, crops(tiles, count, side + MARGIN, chance), kept, chance)
        case _:
            assert_never(recipe)
    return _cut(Batch(target, _in_8_bits(spoilt)), side, chance)


def crops(tiles: Tensor, count: int, side: int, chance: torch.Generator) -> Tensor:
    """Cut crops at random places, turned and mirrored at random."""
    cut = []
    for _ in range(count):
        at, top, left, turns, mirrored = (
            int(torch.randint(most, (1,), generator=chance, device=chance.device))
            for most in (len(tiles), *(size - side + 1 for size in tiles.shape[2:]), 4, 2)
        )
        crop = torch.rot90(tiles[at, :, top : top + side, left : left + side], turns, (1, 2))
        cut.append(crop.flip(2) if mirrored else crop)
    return torch.stack(cut).to(torch.float32) / 255


def _cut(batch: Batch, side: int, chance: torch.Generator) -> Batch:
    """Cut away what the margin is for, at another place in each batch."""
    top, left = (
        int(torch.randint(REACH, MARGIN - REACH + 1, (1,), generator=chance, device=chance.device))
        for _ in range(2)
    )
    inside = (..., slice(top, top + side), slice(left, left + side))
    return Batch(batch.clean[inside], batch.spoilt[inside])


@dataclass(frozen=True)
class Labelled:
    """Images and the severity of each degradation in them, (B, 5), in the order of the kinds."""

    images: Tensor
    severities: Tensor


RAMPS: dict[Degradation, tuple[float, float]] = {
    Degradation.NOISE: (1.5, 5.0),
    Degradation.COMPRESSION: (85.0, 60.0),
    Degradation.SOFTNESS: (0.7, 1.3),
    Degradation.MOTION: (4.0, 9.0),
    Degradation.REFLECTION: (0.015, 0.05),
}
"""The amounts that mean a severity of 0 and of 1: sigma of 255, quality of the JPEG file, sigma in
pixels, extent in pixels, and the root mean square of what a reflection changes."""


def labelled(tiles: Tensor, count: int, side: int, chance: torch.Generator) -> Labelled:
    """Cut crops and spoil them in any way or two, in the order in which a camera does it.

    A third stay clean, though some are darkened, made grey or have a blurred background.
    """
    images = _as_taken(crops(tiles, count, side + MARGIN, chance), chance)
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
        quality = _uniform((len(unsaved),), 88, 99, chance, images)
        images[unsaved] = jpeg(images[unsaved], quality, chance)
    cut = _cut(Batch(images, _in_8_bits(images)), side, chance)
    return Labelled(cut.spoilt, severities)


def _as_taken(images: Tensor, chance: torch.Generator) -> Tensor:
    """Vary what is no degradation: light, colour, and a background out of focus."""
    dimmed = images * _uniform((len(images), 1, 1, 1), 0.35, 1, chance, images)
    images = torch.where(_one_in(4, images, chance), dimmed, images)
    grey = images.mean(1, keepdim=True).expand_as(images)
    images = torch.where(_one_in(10, images, chance), grey, images)
    far = _soft(images, 2, 6, chance)
    coarse = torch.rand((len(images), 1, 3, 3), generator=chance, device=images.device)
    mask = functional.interpolate(coarse, images.shape[2:], mode="bicubic", align_corners=True)
    mask = ((mask - 0.45) * 20).clamp(0, 1)
    return torch.where(_one_in(8, images, chance), images + mask * (far - images), images)


def _chosen(count: int, chance: torch.Generator, device: torch.device) -> Tensor:
    """Choose none, one or two degradations for each image, (B, 5); never both kinds of blur."""
    order = torch.rand((count, len(Degradation)), generator=chance, device=device).argsort(1)
    number = torch.multinomial(
        torch.tensor([0.3, 0.45, 0.25], device=device), count, True, generator=chance
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
            amount = _log_uniform((count,), 0.4, 3, chance, images)
            light = spread(light, gaussians(amount))
        case Degradation.MOTION:
            kernels, amount = shake.kernels_and_extents(count, 3, 32, chance)
            light = spread(light, kernels.to(images))
        case _:
            kept = torch.ones((count, 1, 1, 1), dtype=torch.bool, device=images.device)
            seen = _reflected(images, others, kept, chance)
            amount = (seen - images).square().mean((1, 2, 3)).sqrt()
            return seen, _severity(kind, amount)
    return light.clamp(0, 1) ** (1 / GAMMA), _severity(kind, amount)


def _roughened(kind: Degradation, images: Tensor, chance: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return images with noise or compression, and its severities (B,)."""
    if kind is Degradation.NOISE:
        sigma = _log_uniform((len(images),), 1, 40, chance, images)
        noisy = images + noise(images, sigma[:, None, None, None] / 255, chance)
        return noisy.clamp(0, 1), _severity(kind, sigma)
    quality = _uniform((len(images),), 10, 92, chance, images)
    return jpeg(images, quality, chance), _severity(kind, quality)


def _severity(kind: Degradation, amount: Tensor) -> Tensor:
    nothing, all_of_it = RAMPS[kind]
    return ((amount - nothing) / (all_of_it - nothing)).clamp(0, 1)


# What each recipe does.


def _noised(images: Tensor, kept: Tensor, chance: torch.Generator) -> Tensor:
    sigma = _log_uniform((len(images), 1, 1, 1), 1.5, 45, chance, images) / 255
    sigma = torch.where(kept, sigma, sigma * 0.02)
    noisy = (images + noise(images, sigma, chance)).clamp(0, 1)
    quality = _uniform((len(images),), 70, 99, chance, images)
    return torch.where(_one_in(3, images, chance), jpeg(noisy, quality, chance), noisy)


def _coarsened(images: Tensor, kept: Tensor, chance: torch.Generator) -> Tensor:
    soft = torch.where(_one_in(5, images, chance), _shrunk(images, chance), images)
    blurred = torch.where(_one_in(1.5, images, chance), _soft(soft, 0.35, 2.8, chance), soft)
    soft = torch.where(kept, blurred, images)
    sigma = _uniform((len(images), 1, 1, 1), 0, 3, chance, images) / 255 * kept
    grainy = (soft + noise(soft, sigma, chance)).clamp(0, 1)
    low, high = (_uniform((len(images),), *span, chance, images) for span in ((8, 95), (92, 99)))
    quality = torch.where(kept.flatten(), low, high)
    again = torch.where(_one_in(6, images, chance), jpeg(grainy, quality + 3, chance), grainy)
    return torch.where(_one_in(1.35, images, chance), jpeg(again, quality, chance), again)


def _shaken(images: Tensor, kept: Tensor, chance: torch.Generator) -> Tensor:
    light = images**GAMMA
    bright = light * torch.where(
        light > 0.8, _uniform((len(images), 1, 1, 1), 1, 3, chance, images), 1.0
    )
    kernels = shake.kernels(len(images), 6, 32, chance).to(images)
    moved = spread(torch.where(_one_in(3, images, chance), bright, light), kernels)
    moved = torch.where(kept, moved.clamp(0, 1) ** (1 / GAMMA), images)
    sigma = _uniform((len(images), 1, 1, 1), 0, 4, chance, images) / 255
    grainy = (moved + noise(moved, sigma, chance)).clamp(0, 1)
    quality = _uniform((len(images),), 65, 98, chance, images)
    return torch.where(_one_in(2, images, chance), jpeg(grainy, quality, chance), grainy)


def _reflected(images: Tensor, others: Tensor, kept: Tensor, chance: torch.Generator) -> Tensor:
    """Lay a second scene over each image: added, screened, or doubled by a thick pane.

    In light, as DSRNet and ERRNet have it (Hu and Guo 2023; Wei et al. 2019), with the second
    scene out of focus and under light of another colour.
    """
    count = len(images)
    tint = _uniform((count, 3, 1, 1), 0.8, 1.2, chance, images)
    other = (others**GAMMA * tint * _uniform((count, 1, 1, 1), 0.15, 0.7, chance, images)).clamp(
        0, 1
    )
    double = shake.ghosts(count, chance).to(images)
    ghosted = torch.where(_one_in(2, images, chance), spread(other, double), other)
    other = spread(ghosted, gaussians(_uniform((count,), 0.5, 4, chance, images)))
    scene = images**GAMMA * _uniform((count, 1, 1, 1), 0.8, 1, chance, images)
    screened = _one_in(2, images, chance)
    both = torch.where(screened, scene + other - scene * other, scene + other).clamp(0, 1)
    seen = torch.where(kept, both ** (1 / GAMMA), images)
    quality = _uniform((count,), 75, 98, chance, images)
    return torch.where(_one_in(2, images, chance), jpeg(seen, quality, chance), seen)


# Noise.


def noise(images: Tensor, sigma: Tensor, chance: torch.Generator) -> Tensor:
    """Draw noise of `sigma` (B, 1, 1, 1) of the values: white, grey, correlated or of a sensor."""
    kinds = torch.stack(
        [
            _white(images, chance),
            _white(images[:, :1], chance).expand_as(images),
            spread(
                _white(images, chance), gaussians(_uniform((len(images),), 0.3, 1, chance, images))
            ),
            of_sensor(images, chance),
        ]
    )  # (4, B, 3, H, W)
    which = torch.multinomial(
        torch.tensor([0.35, 0.1, 0.25, 0.3], device=images.device), len(images), True,
        generator=chance,
    )  # fmt: skip
    chosen = kinds[which, torch.arange(len(images), device=images.device)]
    return chosen * sigma / (chosen.std((1, 2, 3), keepdim=True) + 1e-6)


def of_sensor(images: Tensor, chance: torch.Generator) -> Tensor:
    """Draw the noise of a sensor under a Bayer mosaic, as it looks after demosaicing.

    Poisson and Gaussian noise of the light, each colour seen at its own pixels only and spread
    linearly to the others; then the values' curve, which lifts it in the shadows.
    """
    light = images**GAMMA
    share = _uniform((len(images), 1, 1, 1), 0.05, 1, chance, images)
    drawn = _white(images, chance) * (share * light + (1 - share) * 0.02).sqrt() * 0.02
    height, width = images.shape[2:]
    row = torch.arange(height, device=images.device)[:, None] % 2
    column = torch.arange(width, device=images.device) % 2
    red, blue = (row == 0) & (column == 0), (row == 1) & (column == 1)
    sites = torch.stack([red, ~(red | blue), blue]).to(images)
    near = torch.tensor([[0.25, 0.5, 0.25], [0.5, 1, 0.5], [0.25, 0.5, 0.25]], device=images.device)
    cross = torch.tensor([[0, 0.25, 0], [0.25, 1, 0.25], [0, 0.25, 0]], device=images.device)
    weights = torch.stack([near, cross, near])[:, None]
    spread = functional.conv2d(drawn * sites, weights, padding=1, groups=3)
    return (light + spread).clamp(1e-5, 1) ** (1 / GAMMA) - images


def _white(images: Tensor, chance: torch.Generator) -> Tensor:
    return torch.randn(images.shape, generator=chance, device=images.device)


# Blur.


def gaussians(sigmas: Tensor) -> Tensor:
    """Draw kernels (B, K, K), K = 2 REACH + 1, of Gaussians whose sigmas are given in pixels."""
    at = torch.arange(-REACH, REACH + 1, device=sigmas.device)
    line = torch.exp(-(at**2) / (2 * sigmas[:, None] ** 2))  # (B, K)
    kernels = line[:, :, None] * line[:, None]
    return kernels / kernels.sum((1, 2), keepdim=True)


def _soft(images: Tensor, least: float, most: float, chance: torch.Generator) -> Tensor:
    """Blur by Gaussians, some of them longer in one direction than in the other."""
    sigmas = _uniform((2, len(images)), least, most, chance, images)
    sigmas[1] = torch.where(_one_in(4, images, chance).flatten(), sigmas[1], sigmas[0])
    at = torch.arange(-REACH, REACH + 1, device=images.device)
    down, across = torch.exp(-(at**2) / (2 * sigmas[..., None] ** 2))  # (B, K) each
    kernels = down[:, :, None] * across[:, None]
    light = spread(images**GAMMA, kernels / kernels.sum((1, 2), keepdim=True))
    return light.clamp(0, 1) ** (1 / GAMMA)


def spread(planes: Tensor, kernels: Tensor) -> Tensor:
    """Convolve the planes (B, C, H, W) of each image with its own kernel (B, K, K), going round."""
    framed = functional.pad(
        kernels, (0, planes.shape[3] - kernels.shape[2], 0, planes.shape[2] - kernels.shape[1])
    )
    centred = torch.roll(framed, (-(kernels.shape[1] // 2), -(kernels.shape[2] // 2)), (1, 2))
    product = torch.fft.rfft2(planes) * torch.fft.rfft2(centred)[:, None]
    blurred: Tensor = torch.fft.irfft2(product, s=planes.shape[2:])
    return blurred


def _shrunk(images: Tensor, chance: torch.Generator) -> Tensor:
    """Shrink the batch by a factor and enlarge it again: the detail of a small picture."""
    factor = float(_uniform((), 1.3, 3, chance, images))
    size = [round(side / factor) for side in images.shape[2:]]
    small = functional.interpolate(images, size, mode="bicubic", antialias=True)
    back = functional.interpolate(small, images.shape[2:], mode="bicubic", align_corners=False)
    return back.clamp(0, 1)


# Compression.

_TO_YCBCR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


def jpeg(images: Tensor, quality: Tensor, chance: torch.Generator) -> Tensor:
    """Pass images through JPEG files of the qualities (B,) from 1 to 100, blocks beginning at 0.

    Baseline JPEG without its entropy coder, which loses nothing (ITU T.81); half of the images have
    their colours at half the size. Sides must be multiples of 16.
    """
    turn = torch.tensor(_TO_YCBCR, device=images.device)
    planes = torch.einsum("dc,bchw->bdhw", turn, images * 255)
    luma = planes[:, :1] - 128
    quality = quality.clamp(1, 100)
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)[:, None, None, None] / 100
    luma_table, chroma_table = (
        torch.tensor(steps, dtype=images.dtype, device=images.device)
        for steps in (BRIGHTNESS_STEPS, COLOUR_STEPS)
    )
    luma = _coded(luma, (luma_table * scale).round().clamp(1, 255))
    fine = (chroma_table * scale).round().clamp(1, 255)
    full = _coded(planes[:, 1:], fine)
    halved = _coded(functional.avg_pool2d(planes[:, 1:], 2), fine)
    halved = functional.interpolate(halved, scale_factor=2.0, mode="bilinear", align_corners=False)
    colours = torch.where(_one_in(2, images, chance), halved, full)
    back = torch.einsum(
        "cd,bdhw->bchw", torch.linalg.inv(turn), torch.cat([luma + 128, colours], 1)
    )
    return _in_8_bits(back / 255)


def _coded(planes: Tensor, table: Tensor) -> Tensor:
    """Round the cosine transform of each block of 8 by 8 to the steps (B, 1, 8, 8) of a table."""
    batch, channels, height, width = planes.shape
    cosines = torch.from_numpy(COSINES).to(planes)
    blocks = planes.reshape(batch, channels, height // 8, 8, width // 8, 8).transpose(3, 4)
    steps = table[:, :, None, None]
    rounded = ((cosines @ blocks @ cosines.T) / steps).round() * steps
    return (cosines.T @ rounded @ cosines).transpose(3, 4).reshape(planes.shape)


def _in_8_bits(images: Tensor) -> Tensor:
    return (images.clamp(0, 1) * 255).round() / 255


# Chance.


def _uniform(
    shape: tuple[int, ...], least: float, most: float, chance: torch.Generator, like: Tensor
) -> Tensor:
    drawn = torch.rand(shape, generator=chance, device=like.device)
    return least + (most - least) * drawn


def _log_uniform(
    shape: tuple[int, ...], least: float, most: float, chance: torch.Generator, like: Tensor
) -> Tensor:
    drawn: Tensor = _uniform(shape, math.log(least), math.log(most), chance, like).exp()
    return drawn


def _one_in(number: float, images: Tensor, chance: torch.Generator) -> Tensor:
    """Choose one in `number` images of the batch, as a mask (B, 1, 1, 1)."""
    return _uniform((len(images), 1, 1, 1), 0, number, chance, images) < 1
