"""Draw noise: white, grey, correlated, or of a sensor; images (B, 3, H, W) in [0, 1]."""

import torch
from torch import Tensor
from torch.nn import functional

from tasks.imaging.light import GAMMA
from tasks.training.data.blur import gaussians, spread
from tasks.training.data.random_draws import uniform


def noise(images: Tensor, sigma: Tensor, rng: torch.Generator) -> Tensor:
    """Draw noise of `sigma` (B, 1, 1, 1), of one random kind for each image."""
    which = torch.multinomial(
        torch.tensor([0.35, 0.1, 0.25, 0.3], device=images.device), len(images), True,
        generator=rng,
    )  # fmt: skip
    drawn = torch.empty_like(images)
    for kind, draw in enumerate((_white, _grey, _correlated, of_sensor)):
        at = torch.nonzero(which == kind).flatten()
        if len(at):
            drawn[at] = draw(images[at], rng)
    return drawn * sigma / (drawn.std((1, 2, 3), keepdim=True) + 1e-6)


def of_sensor(images: Tensor, rng: torch.Generator) -> Tensor:
    """Draw the noise of a sensor with a Bayer mosaic after linear demosaicing.

    Poisson and Gaussian noise of the light, interpolated from each colour's own pixels to the
    others, and amplified in the shadows by the curve of the file's values.
    """
    light = images**GAMMA
    share = uniform((len(images), 1, 1, 1), 0.05, 1, rng, images)
    drawn = _white(images, rng) * (share * light + (1 - share) * 0.02).sqrt() * 0.02
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


def _white(images: Tensor, rng: torch.Generator) -> Tensor:
    return torch.randn(images.shape, generator=rng, device=images.device)


def _grey(images: Tensor, rng: torch.Generator) -> Tensor:
    return _white(images[:, :1], rng).expand_as(images)


def _correlated(images: Tensor, rng: torch.Generator) -> Tensor:
    kernels = gaussians(uniform((len(images),), 0.3, 1, rng, images))
    return spread(_white(images, rng), kernels)
