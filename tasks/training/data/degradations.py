"""Spoil clean images by known amounts, a batch at a time, on whatever device they lie.

Light is blurred and reflected as light (`tasks.imaging.light`), noise and compression are those of a file.
Images are float32 tensors (B, 3, H, W), RGB in [0, 1]; each of a batch is spoilt by another amount.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

import torch
from torch import Tensor

from tasks.imaging.light import GAMMA
from tasks.training.data import motion_kernels
from tasks.training.data.blur import REACH, gaussians, shrunk, soft, spread
from tasks.training.data.compression import in_8_bits, jpeg, jpeg_elsewhere
from tasks.training.data.noise import noise
from tasks.training.data.random_draws import log_uniform, one_in, patches, uniform

MARGIN = 64
"""Pixels that are made more than asked for: blur goes round at the border, and blocks of 8 by 8
must begin anywhere in what is kept. `REACH` of them on each side are never kept."""
IDENTITY = 0.2
"""Share of the images that stay as they are, or nearly."""


class Recipe(StrEnum):
    """What a restorer learns to undo."""

    NOISE = "noise"
    COMPRESSION = "compression"
    SOFTNESS = "softness"
    MOTION = "motion"

    @property
    def channels(self) -> int:
        """Those of the net: what was lost is told by a JPEG file, and by nothing else."""
        return 4 if self is Recipe.COMPRESSION else 3


@dataclass(frozen=True)
class Batch:
    """Images before and after a degradation."""

    clean: Tensor
    spoilt: Tensor
    losses: Tensor | None = None
    """What the net is told that compression took, (B,): 1 - quality / 100; 0 where it is not told."""

    @property
    def given(self) -> Tensor:
        """What the net is given: the spoilt images, and what it is told as a fourth plane."""
        if self.losses is None:
            return self.spoilt
        plane = self.losses[:, None, None, None].expand(-1, 1, *self.spoilt.shape[2:])
        return torch.cat([self.spoilt, plane], 1)


def make(recipe: Recipe, tiles: Tensor, count: int, side: int, chance: torch.Generator) -> Batch:
    """Cut `count` crops of `side` pixels out of uint8 tiles (N, 3, S, S), and spoil them.

    About one in five stays as it is, or nearly: to leave a good image alone must be learnt, too.
    """
    images = crops(tiles, count, side + MARGIN, chance)
    kept, losses = uniform((count, 1, 1, 1), 0, 1, chance, images) > IDENTITY, None
    match recipe:
        case Recipe.NOISE:
            target = torch.where(one_in(3, images, chance), soft(images, 0.3, 1.2, chance), images)
            spoilt = _noised(target, kept, chance)
        case Recipe.COMPRESSION:
            target, (spoilt, losses) = images, _compressed(images, kept, chance)
        case Recipe.SOFTNESS:
            target, spoilt = images, _softened(images, kept, chance)
        case Recipe.MOTION:
            target, spoilt = images, _shaken(images, kept, chance)
        case _:
            assert_never(recipe)
    return cut(Batch(target, in_8_bits(spoilt), losses), side, chance)


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


def cut(batch: Batch, side: int, chance: torch.Generator) -> Batch:
    """Cut away what the margin is for, at another place in each batch."""
    top, left = (
        int(torch.randint(REACH, MARGIN - REACH + 1, (1,), generator=chance, device=chance.device))
        for _ in range(2)
    )
    inside = (..., slice(top, top + side), slice(left, left + side))
    return Batch(batch.clean[inside], batch.spoilt[inside], batch.losses)


def _noised(images: Tensor, kept: Tensor, chance: torch.Generator) -> Tensor:
    sigma = log_uniform((len(images), 1, 1, 1), 1.5, 45, chance, images) / 255
    sigma = torch.where(kept, sigma, sigma * 0.02)
    noisy = (images + noise(images, sigma, chance)).clamp(0, 1)
    quality = uniform((len(images),), 70, 99, chance, images)
    return torch.where(one_in(3, images, chance), jpeg(noisy, quality, chance), noisy)


def _compressed(images: Tensor, kept: Tensor, chance: torch.Generator) -> tuple[Tensor, Tensor]:
    """Compress photos, and tell of most what they lost.

    Some are a little noisy, or compressed before, on another grid; of some it is not told, nor of those
    whose file was saved again, and well: its quality says nothing.
    """
    sigma = uniform((len(images), 1, 1, 1), 1, 5, chance, images) / 255
    spoilt = torch.where(one_in(5, images, chance), images + noise(images, sigma, chance), images)
    low, high = (uniform((len(images),), *span, chance, images) for span in ((12, 92), (94, 99)))
    before = jpeg_elsewhere(spoilt.clamp(0, 1), low + 15, chance)
    spoilt = torch.where(one_in(8, images, chance), before, spoilt)
    spoilt = torch.where(kept, spoilt, images)
    quality = torch.where(kept.flatten(), low, high)
    spoilt = jpeg(spoilt.clamp(0, 1), quality, chance)
    again = one_in(8, images, chance)
    spoilt = torch.where(again, jpeg_elsewhere(spoilt, high, chance), spoilt)
    untold = (again | one_in(4, images, chance) | ~kept).flatten()
    return spoilt, torch.where(untold, 0, 1 - quality / 100)


def _softened(images: Tensor, kept: Tensor, chance: torch.Generator) -> Tensor:
    """Blur photos, or enlarge small ones; most are then compressed, and a little noisy."""
    small = torch.where(one_in(4, images, chance), shrunk(images, chance), images)
    blurred = torch.where(kept, soft(small, 0.4, 1.8, chance), images)
    sigma = uniform((len(images), 1, 1, 1), 0, 2.5, chance, images) / 255
    grain = noise(blurred, sigma, chance)
    grainy = torch.where(one_in(2, images, chance), blurred + grain, blurred).clamp(0, 1)
    quality = uniform((len(images),), 75, 99, chance, images)
    return torch.where(one_in(1.5, images, chance), jpeg(grainy, quality, chance), grainy)


def _shaken(images: Tensor, kept: Tensor, chance: torch.Generator) -> Tensor:
    light = images**GAMMA
    bright = light * torch.where(
        light > 0.8, uniform((len(images), 1, 1, 1), 1, 3, chance, images), 1.0
    )
    kernels = motion_kernels.kernels(len(images), 6, 32, chance).to(images)
    light = torch.where(one_in(3, images, chance), bright, light)
    moved = spread(light, kernels)
    turned = spread(light, motion_kernels.kernels(len(images), 6, 32, chance).to(images))
    part = (2 * patches(images, 2, chance)).clamp(0, 1)  # an object moves, or the camera turns
    moved = torch.where(one_in(5, images, chance), moved + part * (turned - moved), moved)
    moved = torch.where(kept, moved.clamp(0, 1) ** (1 / GAMMA), images)
    sigma = uniform((len(images), 1, 1, 1), 0, 4, chance, images) / 255
    grainy = (moved + noise(moved, sigma, chance)).clamp(0, 1)
    quality = uniform((len(images),), 65, 98, chance, images)
    return torch.where(one_in(2, images, chance), jpeg(grainy, quality, chance), grainy)


def reflected(images: Tensor, others: Tensor, chance: torch.Generator) -> Tensor:
    """Lay a second scene over each image, and compress every second one."""
    seen, _ = behind_a_pane(images, others, chance)
    quality = uniform((len(images),), 75, 98, chance, images)
    return torch.where(one_in(2, images, chance), jpeg(seen, quality, chance), seen)


def behind_a_pane(images: Tensor, others: Tensor, chance: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return each image with a second scene over it, and the same without: only dimmed by the pane.

    The second scene is added, screened, doubled by a thick pane, or in a part only. In light, as
    DSRNet and ERRNet have it (Hu and Guo 2023; Wei et al. 2019), with the second scene out of focus
    and under light of another colour.
    """
    count = len(images)
    tint = uniform((count, 3, 1, 1), 0.8, 1.2, chance, images)
    share = uniform((count, 1, 1, 1), 0.15, 0.85, chance, images)
    other = (others**GAMMA * tint * share).clamp(0, 1)
    double = motion_kernels.ghosts(count, chance).to(images)
    ghosted = torch.where(one_in(2, images, chance), spread(other, double), other)
    other = spread(ghosted, gaussians(uniform((count,), 0.5, 5, chance, images)))
    part = (2 * patches(images, 2, chance)).clamp(0, 1)
    other = torch.where(one_in(4, images, chance), other * part, other)
    scene = images**GAMMA * uniform((count, 1, 1, 1), 0.8, 1, chance, images)
    screened = one_in(2, images, chance)
    both = torch.where(screened, scene + other - scene * other, scene + other).clamp(0, 1)
    return both ** (1 / GAMMA), scene ** (1 / GAMMA)
