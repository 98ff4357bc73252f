"""Draw numbers and choices for each image of a batch."""

import math

import torch
from torch import Tensor
from torch.nn import functional


def uniform(
    shape: tuple[int, ...], least: float, most: float, chance: torch.Generator, like: Tensor
) -> Tensor:
    """Draw numbers from `least` to `most`, on the device of `like`."""
    drawn = torch.rand(shape, generator=chance, device=like.device)
    return least + (most - least) * drawn


def log_uniform(
    shape: tuple[int, ...], least: float, most: float, chance: torch.Generator, like: Tensor
) -> Tensor:
    """Draw positive numbers whose logarithms are uniform."""
    drawn: Tensor = uniform(shape, math.log(least), math.log(most), chance, like).exp()
    return drawn


def one_in(number: float, images: Tensor, chance: torch.Generator) -> Tensor:
    """Choose one in `number` images of the batch, as a mask (B, 1, 1, 1)."""
    return uniform((len(images), 1, 1, 1), 0, number, chance, images) < 1


def patches(images: Tensor, number: int, chance: torch.Generator) -> Tensor:
    """Draw a smooth plane (B, 1, H, W) for each image, about 0 to 1, so many patches across."""
    coarse = torch.rand((len(images), 1, number, number), generator=chance, device=images.device)
    return functional.interpolate(coarse, images.shape[2:], mode="bicubic", align_corners=True)
