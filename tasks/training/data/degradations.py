"""Degrade batches of clean images by known amounts, on the device of the images.

Blur and reflections are applied to linear light (`tasks.imaging.light`), noise and compression to
the values of a file. Images are float32 tensors (B, 3, H, W), RGB in [0, 1]; each image of a batch
is degraded by its own amount.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

import torch
from torch import Tensor
from torch.nn import functional

from tasks.imaging.light import GAMMA
from tasks.training.data import motion_kernels
from tasks.training.data.blur import REACH, gaussians, shrunk, soft, soft_light, spread
from tasks.training.data.camera import Camera, averaged
from tasks.training.data.compression import in_8_bits, jpeg, jpeg_elsewhere, jpeg_of_any_family
from tasks.training.data.noise import noise
from tasks.training.data.random_draws import log_uniform, one_in, patches, uniform

MARGIN = 64
"""Pixels that are cut from each side length at the end, at least `REACH` per side: blur is
circular, and JPEG blocks must begin anywhere."""
CAMERA_SHARE = 0.65
"""Share of the noisy, soft and moved images that a simulated camera takes."""
SHRUNK_SHARE, ENLARGED_SHARE = 0.2, 0.4
"""Shares of the batches with noise whose photos are shrunk after it, or enlarged before it."""
EVEN_RADIUS = 8
"""Pixels from the middle of a window to its border, from whose mean texture differs."""
UNCHANGED_SHARE, UNCHANGED_SHARE_OF_NOISE = 0.2, 0.35
"""Shares of the images that stay unchanged, or nearly; more for noise, which resembles texture."""
MAX_SHOT = 1.5e-3
"""Largest variance of shot noise of blurred photos, ISO 3,200: the net against noise mends the
rest."""
BRIGHT_LIGHT = 0.95
"""Linear light from which a photo's light may have been brighter than white."""
MAX_CAMERA_NOISE = 12 / 255
"""Largest deviation of the noise of a camera: stronger blotches of colour resemble small objects."""


class Recipe(StrEnum):
    """The degradations that restorers are trained on."""

    NOISE = "noise"
    COMPRESSION = "compression"
    SOFTNESS = "softness"
    MOTION = "motion"

    @property
    def channels(self) -> int:
        """Input channels of the net: for compression the quality loss is a fourth one."""
        return 4 if self is Recipe.COMPRESSION else 3


@dataclass(frozen=True)
class Batch:
    """Images before and after a degradation."""

    clean: Tensor
    degraded: Tensor
    quality_losses: Tensor | None = None
    """1 - quality / 100 of each image, (B,), 0 where it is to be unknown; None for other
    recipes."""

    @property
    def inputs(self) -> Tensor:
        """The inputs of the net: the degraded images, and the quality loss as a fourth plane."""
        if self.quality_losses is None:
            return self.degraded
        plane = self.quality_losses[:, None, None, None].expand(-1, 1, *self.degraded.shape[2:])
        return torch.cat([self.degraded, plane], 1)


def make(recipe: Recipe, tiles: Tensor, count: int, side: int, rng: torch.Generator) -> Batch:
    """Cut `count` crops of `side` pixels out of uint8 tiles (N, 3, S, S), and degrade them.

    `UNCHANGED_SHARE` of them, of noise `UNCHANGED_SHARE_OF_NOISE`, stay nearly unchanged, so that
    a net learns to keep good images.
    """
    images = _photographed(recipe, tiles, count, side + MARGIN, rng)
    unchanged = UNCHANGED_SHARE_OF_NOISE if recipe is Recipe.NOISE else UNCHANGED_SHARE
    is_degraded, quality_losses = uniform((count, 1, 1, 1), 0, 1, rng, images) > unchanged, None
    match recipe:
        case Recipe.NOISE:
            target, degraded = _noised(images, is_degraded, side + MARGIN, rng)
        case Recipe.COMPRESSION:
            target, (degraded, quality_losses) = images, _compressed(images, is_degraded, rng)
        case Recipe.SOFTNESS:
            target, degraded = _softened(images, is_degraded, rng)
        case Recipe.MOTION:
            target, degraded = _shaken(images, is_degraded, rng)
        case _:
            assert_never(recipe)
    return cut(Batch(target, in_8_bits(degraded), quality_losses), side, rng)


def crops(tiles: Tensor, count: int, side: int, rng: torch.Generator) -> Tensor:
    """Cut crops at random places, rotated and mirrored at random, as float32 in [0, 1]."""
    cut = []
    for _ in range(count):
        at, top, left, turns, mirrored = (
            int(torch.randint(limit, (1,), generator=rng, device=rng.device))
            for limit in (len(tiles), *(size - side + 1 for size in tiles.shape[2:]), 4, 2)
        )
        crop = torch.rot90(tiles[at, :, top : top + side, left : left + side], turns, (1, 2))
        cut.append(crop.flip(2) if mirrored else crop)
    return torch.stack(cut).to(torch.float32) / 255


def cut(batch: Batch, side: int, rng: torch.Generator) -> Batch:
    """Cut images to `side` pixels, at a random place inside the margin."""
    top, left = (
        int(torch.randint(REACH, MARGIN - REACH + 1, (1,), generator=rng, device=rng.device))
        for _ in range(2)
    )
    inside = (..., slice(top, top + side), slice(left, left + side))
    return Batch(batch.clean[inside], batch.degraded[inside], batch.quality_losses)


def _photographed(
    recipe: Recipe, tiles: Tensor, count: int, side: int, rng: torch.Generator
) -> Tensor:
    """Cut crops; those to which noise is added also vary in size and contrast.

    Some are cut larger, and are shrunk after the noise. Others are cut smaller and enlarged, since
    the tiles are sharper than a camera's pixels, or lose contrast, since weak texture resembles
    noise.
    """
    if recipe is not Recipe.NOISE:
        return crops(tiles, count, side, rng)
    drawn, factor = torch.rand(2, generator=rng, device=rng.device).tolist()
    if drawn < SHRUNK_SHARE:
        return crops(tiles, count, round((1 + 0.8 * factor) * side) // 2 * 2, rng)
    enlarging = 1 + factor if drawn > 1 - ENLARGED_SHARE else 1.0
    images = _resized(crops(tiles, count, round(side / enlarging), rng), side)
    even = averaged(images, EVEN_RADIUS)
    contrast = uniform((count, 1, 1, 1), 0.25, 1, rng, images)
    weak = even + contrast * (images - even)
    return torch.where(one_in(2, images, rng), weak, images)


def _noised(
    images: Tensor, is_degraded: Tensor, side: int, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return clean photos and noisy ones: `CAMERA_SHARE` by a camera, the rest by added noise.

    They are shrunk to `side` pixels if they are larger, and half of them compressed.
    """
    taken = round(CAMERA_SHARE * len(images))
    camera = Camera.draw(images[:taken], is_degraded[:taken], rng)
    noisy, clean = camera.noisy_and_clean(images[:taken], rng)
    drawn = noisy - clean
    deviation = drawn.std((1, 2, 3), keepdim=True).clamp(min=1e-6)
    noisy = clean + drawn * (MAX_CAMERA_NOISE / deviation).clamp(max=1)
    others = images[taken:]
    others = torch.where(one_in(3, others, rng), soft(others, 0.3, 1.2, rng), others)
    sigma = log_uniform((len(others), 1, 1, 1), 1.5, 45, rng, images) / 255
    added = others + noise(others, torch.where(is_degraded[taken:], sigma, sigma * 0.02), rng)
    noisy, clean = (
        _resized(torch.cat([noisy, added]), side),
        _resized(torch.cat([clean, others]), side),
    )
    quality = uniform((len(images),), 60, 99, rng, images)
    compressed = jpeg_of_any_family(noisy, quality, rng)
    compressed = torch.where(one_in(2, images, rng), compressed, noisy)
    return clean, compressed


def _resized(images: Tensor, side: int) -> Tensor:
    if images.shape[3] != side:
        images = functional.interpolate(images, (side, side), mode="bicubic", antialias=True)
    return images.clamp(0, 1)


def _compressed(images: Tensor, is_degraded: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Compress photos; return them and their quality losses (B,), 0 where it is to be unknown.

    Some are slightly noisy, or were compressed before, on another grid. The loss is unknown for
    some, and for those that were saved again with high quality.
    """
    sigma = uniform((len(images), 1, 1, 1), 1, 5, rng, images) / 255
    degraded = torch.where(one_in(5, images, rng), images + noise(images, sigma, rng), images)
    low, high = (uniform((len(images),), *span, rng, images) for span in ((12, 92), (94, 99)))
    before = jpeg_elsewhere(degraded.clamp(0, 1), low + 15, rng)
    degraded = torch.where(one_in(8, images, rng), before, degraded)
    degraded = torch.where(is_degraded, degraded, images)
    quality = torch.where(is_degraded.flatten(), low, high)
    degraded = jpeg(degraded.clamp(0, 1), quality, rng)
    again = one_in(8, images, rng)
    degraded = torch.where(again, jpeg_elsewhere(degraded, high, rng), degraded)
    unknown = (again | one_in(4, images, rng) | ~is_degraded).flatten()
    return degraded, torch.where(unknown, 0, 1 - quality / 100)


def _softened(images: Tensor, is_degraded: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return sharp photos, and soft ones: blurred by a lens, or enlarged from small ones."""
    small = torch.where(one_in(4, images, rng), shrunk(images, rng), images)
    light = soft_light(_with_lights(small, rng), 0.4, 1.8, rng)
    blurred = torch.where(is_degraded, _values(light), images)
    return _taken(images, blurred, is_degraded, 2.5 / 255, 75, rng)


def _shaken(images: Tensor, is_degraded: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return sharp photos, and such of a shaken camera or of a moved object."""
    light = _with_lights(images, rng)
    moved = spread(light, motion_kernels.kernels(len(images), 6, 32, rng).to(images))
    turned = spread(light, motion_kernels.kernels(len(images), 6, 32, rng).to(images))
    part = (2 * patches(images, 2, rng)).clamp(0, 1)  # an object moves, or the camera rotates
    moved = torch.where(one_in(5, images, rng), moved + part * (turned - moved), moved)
    blurred = torch.where(is_degraded, _values(moved), images)
    return _taken(images, blurred, is_degraded, 4 / 255, 65, rng)


def _with_lights(images: Tensor, rng: torch.Generator) -> Tensor:
    """Return the linear light of images; in one of three, white is brighter than a file can say.

    Blurred, such lights stay white over an area.
    """
    light = images**GAMMA
    most = uniform((len(images), 1, 1, 1), 0, 2, rng, images)
    above = (light - BRIGHT_LIGHT).clamp(min=0) / (1 - BRIGHT_LIGHT)
    return torch.where(one_in(3, images, rng), light + most * above, light)


def _values(light: Tensor) -> Tensor:
    """Return the values of a file for linear light, clipped at white."""
    values: Tensor = light.clamp(0, 1) ** (1 / GAMMA)
    return values


def _taken(
    sharp: Tensor, blurred: Tensor, is_degraded: Tensor, sigma: float, quality: float,
    rng: torch.Generator,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Return photos of sharp and of blurred images: `CAMERA_SHARE` by a camera, which adds noise.

    To the other blurred ones, noise of up to `sigma` is added. Half of the blurred ones are
    compressed, with at least the quality `quality`.
    """
    taken = round(CAMERA_SHARE * len(sharp))
    camera = Camera.draw(sharp[:taken], is_degraded[:taken], rng, MAX_SHOT)
    photos = camera.photo(camera.scene(blurred[:taken]), rng)
    targets = camera.photo(camera.scene(sharp[:taken]), None)
    others = blurred[taken:]
    grain = uniform((len(others), 1, 1, 1), 0, sigma, rng, sharp)
    photos = torch.cat([photos, (others + noise(others, grain, rng)).clamp(0, 1)])
    compressed = jpeg_of_any_family(photos, uniform((len(sharp),), quality, 99, rng, sharp), rng)
    degraded = torch.where(one_in(2, sharp, rng), compressed, photos)
    return torch.cat([targets, sharp[taken:]]), degraded


def reflected(images: Tensor, others: Tensor, rng: torch.Generator) -> Tensor:
    """Add a reflected scene to each image, and compress one in two."""
    degraded, _ = behind_a_pane(images, others, rng)
    quality = uniform((len(images),), 75, 98, rng, images)
    return torch.where(one_in(2, images, rng), jpeg(degraded, quality, rng), degraded)


def behind_a_pane(images: Tensor, others: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return each image behind a pane, with a reflected scene and without it.

    In linear light, as for DSRNet and ERRNet (Hu and Guo 2023; Wei et al. 2019). The pane dims the
    image; the reflected scene is out of focus, in light of another colour, added or screened, in
    some images doubled by a thick pane or limited to a part.
    """
    count = len(images)
    tint = uniform((count, 3, 1, 1), 0.8, 1.2, rng, images)
    share = uniform((count, 1, 1, 1), 0.15, 0.85, rng, images)
    other = (others**GAMMA * tint * share).clamp(0, 1)
    ghost_kernel = motion_kernels.ghosts(count, rng).to(images)
    ghosted = torch.where(one_in(2, images, rng), spread(other, ghost_kernel), other)
    other = spread(ghosted, gaussians(uniform((count,), 0.5, 5, rng, images)))
    part = (2 * patches(images, 2, rng)).clamp(0, 1)
    other = torch.where(one_in(4, images, rng), other * part, other)
    scene = images**GAMMA * uniform((count, 1, 1, 1), 0.8, 1, rng, images)
    screened = one_in(2, images, rng)
    both = torch.where(screened, scene + other - scene * other, scene + other).clamp(0, 1)
    return both ** (1 / GAMMA), scene ** (1 / GAMMA)
