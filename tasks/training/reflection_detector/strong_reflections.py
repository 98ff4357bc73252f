"""Make images with strong, local reflections, and masks of where they hide the scene.

No such photos with masks are published. The reflections are lamps, bright windows or parts of
another scene, added in linear light.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.imaging.light import GAMMA
from tasks.training.data import motion_kernels
from tasks.training.data.blur import gaussians, spread
from tasks.training.data.compression import in_8_bits, jpeg
from tasks.training.data.degradations import MARGIN, Batch, crops, cut, reflected
from tasks.training.data.noise import noise
from tasks.training.data.random_draws import log_uniform, one_in, patches, uniform

HIDING_SHARE = 0.6
"""Share of the light above which a reflection hides the scene, whose contrast in the values of the
file then falls below 0.7."""
WHITE_LIGHT = 1.1
"""Light of scene and reflection together, relative to white, above which both are white."""
MIN_ADDED = 0.02, 0.3
"""Smallest light of a reflection, relative to white, that hides the scene by its share, and by
white."""
BLUR_SIGMA = 4
"""Sigma in pixels of the blur of both before they are compared, so that small dark details count as
hidden."""
MAX_SHAPES = 4
"""Most ellipses and rectangles in an image."""


@dataclass(frozen=True)
class Scenes:
    """Images with strong reflections."""

    images: Tensor
    """(B, 3, H, W), RGB in [0, 1]."""
    masks: Tensor
    """(B, 1, H, W), 1 where a reflection hides the scene, else 0."""


def make(tiles: Tensor, count: int, side: int, rng: torch.Generator) -> Scenes:
    """Cut `count` crops of `side` pixels out of uint8 tiles (N, 3, S, S), and add reflections.

    About one in five has no strong reflection. Half of all have a weak one that is not in the mask,
    because a scene that is visible through it must not be inpainted.
    """
    images, others = (crops(tiles, count, side + MARGIN, rng) for _ in range(2))
    weak = reflected(images, crops(tiles, count, side + MARGIN, rng), rng)
    images = torch.where(one_in(2, images, rng), weak, images)
    scene = images**GAMMA
    light = _shapes(images, rng) * _reflected_light(others, rng)
    light = torch.where(one_in(5, images, rng), 0.0, light)
    masks = _hidden(scene, light).to(images)
    degraded = (scene + light).clamp(0, 1) ** (1 / GAMMA)
    sigma = uniform((count, 1, 1, 1), 0, 4, rng, images) / 255
    degraded = (degraded + noise(degraded, sigma, rng)).clamp(0, 1)
    coded = jpeg(degraded, uniform((count,), 70, 98, rng, images), rng)
    saved = torch.where(one_in(2, images, rng), coded, in_8_bits(degraded))
    inside = cut(Batch(masks, saved), side, rng)
    return Scenes(inside.degraded, inside.clean)


def _reflected_light(others: Tensor, rng: torch.Generator) -> Tensor:
    """Return reflected light: uniform, as of a lamp or the sky, or of a bright scene."""
    count = len(others)
    colour = uniform((count, 3, 1, 1), 0.7, 1, rng, others)
    even = colour * log_uniform((count, 1, 1, 1), 0.5, 4, rng, others)
    veil = uniform((count, 1, 1, 1), 0.05, 0.4, rng, others)
    scene = veil + others**GAMMA * log_uniform((count, 1, 1, 1), 0.7, 4, rng, others)
    doubled = spread(scene, motion_kernels.ghosts(count, rng).to(others))
    scene = torch.where(one_in(3, others, rng), doubled, scene)
    scene = spread(scene, gaussians(uniform((count,), 0.3, 4, rng, others)))
    return torch.where(one_in(2, others, rng), even, colour * scene.clamp(min=0))


def _shapes(images: Tensor, rng: torch.Generator) -> Tensor:
    """Draw where light is reflected, (B, 1, H, W) in [0, 1]: shapes or smooth patches."""
    formless = (8 * (patches(images, 4, rng) - 0.7)).clamp(0, 1)
    shapes = torch.zeros_like(formless)
    for number in range(MAX_SHAPES):
        drawn = one_in(1 + 0.7 * number, images, rng)
        shapes = torch.where(
            drawn, torch.maximum(shapes, _ellipse_or_rectangle(images, rng)), shapes
        )
    return torch.where(one_in(3, images, rng), formless, shapes)


def _ellipse_or_rectangle(images: Tensor, rng: torch.Generator) -> Tensor:
    """Draw a rotated, soft ellipse or rectangle per image, (B, 1, H, W) in [0, 1]."""
    count, _, height, width = images.shape
    down, across = torch.meshgrid(
        torch.linspace(-1, 1, height, device=images.device),
        torch.linspace(-1, 1, width, device=images.device), indexing="ij",
    )  # fmt: skip
    x, y = (at - uniform((count, 1, 1, 1), -0.9, 0.9, rng, images) for at in (across, down))
    turn = uniform((count, 1, 1, 1), 0, math.pi, rng, images)
    radius = log_uniform((count, 1, 1, 1), 0.03, 0.5, rng, images)
    aspect = uniform((count, 1, 1, 1), 1, 2.5, rng, images)
    along = (x * turn.cos() + y * turn.sin()) / (radius * aspect)
    beside = (y * turn.cos() - x * turn.sin()) / radius
    power = torch.where(one_in(2, images, rng), 2.0, 8.0)
    distance = (along.abs() ** power + beside.abs() ** power) ** (1 / power)  # 1 on the border
    softness = log_uniform((count, 1, 1, 1), 0.01, 0.15, rng, images)
    return ((1 - distance) * radius / softness + 0.5).clamp(0, 1)


def _hidden(scene: Tensor, light: Tensor) -> Tensor:
    """Return where the reflected light hides the scene, (B, 1, H, W) bool."""
    sigmas = torch.full((len(scene),), float(BLUR_SIGMA), device=scene.device)
    own, added = (
        spread(planes.mean(1, keepdim=True), gaussians(sigmas)).clamp(min=0)
        for planes in (scene, light)
    )
    outshone = (added > HIDING_SHARE * (own + added)) & (added > MIN_ADDED[0])
    return outshone | ((own + added > WHITE_LIGHT) & (added > MIN_ADDED[1]))
