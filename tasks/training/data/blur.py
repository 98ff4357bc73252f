"""Blur of lenses and of enlargement; images (B, 3, H, W) in [0, 1], convolutions are circular."""

import torch
from torch import Tensor
from torch.nn import functional

from tasks.imaging.light import GAMMA
from tasks.training.data.random_draws import one_in, uniform

REACH = 20
"""Pixels from the middle of a kernel to its border."""


def gaussians(sigmas: Tensor) -> Tensor:
    """Draw Gaussian kernels (B, K, K), K = 2 REACH + 1, of `sigmas` (B,) in pixels."""
    at = torch.arange(-REACH, REACH + 1, device=sigmas.device)
    line = torch.exp(-(at**2) / (2 * sigmas[:, None] ** 2))  # (B, K)
    kernels = line[:, :, None] * line[:, None]
    return kernels / kernels.sum((1, 2), keepdim=True)


def soft(images: Tensor, low: float, high: float, rng: torch.Generator) -> Tensor:
    """Blur by Gaussians of sigma `low` to `high` pixels, one in four of them anisotropic."""
    return soft_light(images**GAMMA, low, high, rng).clamp(0, 1) ** (1 / GAMMA)


def soft_light(light: Tensor, low: float, high: float, rng: torch.Generator) -> Tensor:
    """Blur linear light as `soft` does; it may be brighter than 1."""
    sigmas = uniform((2, len(light)), low, high, rng, light)
    sigmas[1] = torch.where(one_in(4, light, rng).flatten(), sigmas[1], sigmas[0])
    at = torch.arange(-REACH, REACH + 1, device=light.device)
    down, across = torch.exp(-(at**2) / (2 * sigmas[..., None] ** 2))  # (B, K) each
    kernels = down[:, :, None] * across[:, None]
    return spread(light, kernels / kernels.sum((1, 2), keepdim=True))


def spread(planes: Tensor, kernels: Tensor) -> Tensor:
    """Convolve the planes (B, C, H, W) of each image circularly with its own kernel (B, K, K)."""
    padded = functional.pad(
        kernels, (0, planes.shape[3] - kernels.shape[2], 0, planes.shape[2] - kernels.shape[1])
    )
    centred = torch.roll(padded, (-(kernels.shape[1] // 2), -(kernels.shape[2] // 2)), (1, 2))
    product = torch.fft.rfft2(planes) * torch.fft.rfft2(centred)[:, None]
    blurred: Tensor = torch.fft.irfft2(product, s=planes.shape[2:])
    return blurred


def shrunk(images: Tensor, rng: torch.Generator) -> Tensor:
    """Shrink the batch by a factor of 1.3 to 3, and enlarge it to its size again."""
    factor = float(uniform((), 1.3, 3, rng, images))
    size = [round(side / factor) for side in images.shape[2:]]
    small = functional.interpolate(images, size, mode="bicubic", antialias=True)
    enlarged = functional.interpolate(small, images.shape[2:], mode="bicubic", align_corners=False)
    return enlarged.clamp(0, 1)
