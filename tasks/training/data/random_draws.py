"""Draw random numbers and masks for each image of a batch."""

import math

import torch
from torch import Tensor
from torch.nn import functional


def uniform(
    shape: tuple[int, ...], low: float, high: float, rng: torch.Generator, like: Tensor
) -> Tensor:
    """Draw numbers uniformly from `low` to `high`, on the device of `like`."""
    drawn = torch.rand(shape, generator=rng, device=like.device)
    return low + (high - low) * drawn


def log_uniform(
    shape: tuple[int, ...], low: float, high: float, rng: torch.Generator, like: Tensor
) -> Tensor:
    """Draw positive numbers from `low` to `high` whose logarithms are uniform."""
    drawn: Tensor = uniform(shape, math.log(low), math.log(high), rng, like).exp()
    return drawn


def one_in(number: float, images: Tensor, rng: torch.Generator) -> Tensor:
    """Draw a mask (B, 1, 1, 1) that is true for one in `number` images on average."""
    return uniform((len(images), 1, 1, 1), 0, number, rng, images) < 1


def patches(images: Tensor, number: int, rng: torch.Generator) -> Tensor:
    """Draw a smooth plane per image, (B, 1, H, W), about 0 to 1, of `number` patches a side."""
    coarse = torch.rand((len(images), 1, number, number), generator=rng, device=images.device)
    return functional.interpolate(coarse, images.shape[2:], mode="bicubic", align_corners=True)
