"""Lay strong, local reflections over clean photos, and tell where they hide the scene.

Nobody has published photos with such masks, so these are made: a lamp, a bright window or a part of
another scene, in light, as `synthesis.reflected` lays weak ones over the whole image.
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

HIDES = 0.6
"""Of the light: where a reflection gives more of it, the scene behind has less than 0.7 times its
light and contrast, and is taken to be hidden."""
BURNT = 1.1
"""Times the brightest light that a file holds: where scene and reflection together give more, both
are white."""
LEAST_ADDED = 0.02, 0.3
"""Of that light: a reflection's where it may drown the scene, and where it may burn it."""
LOOKED_OVER = 4
"""Pixels (sigma) over which both are told: a dark leaf in a bright sky is hidden, too."""
MOST_SHAPES = 4
"""Ellipses and rectangles in an image."""


@dataclass(frozen=True)
class Scenes:
    """Images with strong reflections."""

    images: Tensor
    """(B, 3, H, W), RGB in [0, 1]."""
    masks: Tensor
    """(B, 1, H, W), 1 where a reflection hides the scene, else 0."""


def make(tiles: Tensor, count: int, side: int, chance: torch.Generator) -> Scenes:
    """Cut `count` crops of `side` pixels out of uint8 tiles (N, 3, S, S), and reflect in them.

    About one in five has no strong reflection, and half of all have a weak one that is no part of
    the mask: what can be seen through must not be painted over.
    """
    images, others = (crops(tiles, count, side + MARGIN, chance) for _ in range(2))
    weak = reflected(images, crops(tiles, count, side + MARGIN, chance), chance)
    images = torch.where(one_in(2, images, chance), weak, images)
    scene = images**GAMMA
    light = _shape(images, chance) * _shown(others, chance)
    light = torch.where(one_in(5, images, chance), 0.0, light)
    masks = _hidden(scene, light).to(images)
    seen = (scene + light).clamp(0, 1) ** (1 / GAMMA)
    sigma = uniform((count, 1, 1, 1), 0, 4, chance, images) / 255
    seen = (seen + noise(seen, sigma, chance)).clamp(0, 1)
    coded = jpeg(seen, uniform((count,), 70, 98, chance, images), chance)
    made = torch.where(one_in(2, images, chance), coded, in_8_bits(seen))
    inside = cut(Batch(masks, made), side, chance)
    return Scenes(inside.spoilt, inside.clean)


def _shown(others: Tensor, chance: torch.Generator) -> Tensor:
    """Give the light that is reflected: of a lamp or the sky, nearly even, or of a bright scene."""
    count = len(others)
    colour = uniform((count, 3, 1, 1), 0.7, 1, chance, others)
    even = colour * log_uniform((count, 1, 1, 1), 0.5, 4, chance, others)
    veil = uniform((count, 1, 1, 1), 0.05, 0.4, chance, others)
    scene = veil + others**GAMMA * log_uniform((count, 1, 1, 1), 0.7, 4, chance, others)
    double = spread(scene, motion_kernels.ghosts(count, chance).to(others))
    scene = torch.where(one_in(3, others, chance), double, scene)
    scene = spread(scene, gaussians(uniform((count,), 0.3, 4, chance, others)))
    return torch.where(one_in(2, others, chance), even, colour * scene.clamp(min=0))


def _shape(images: Tensor, chance: torch.Generator) -> Tensor:
    """Give where light is reflected, (B, 1, H, W) in [0, 1]: some shapes, or patches of any form."""
    formless = (8 * (patches(images, 4, chance) - 0.7)).clamp(0, 1)
    shapes = torch.zeros_like(formless)
    for number in range(MOST_SHAPES):
        there = one_in(1 + 0.7 * number, images, chance)
        shapes = torch.where(there, torch.maximum(shapes, _round_or_square(images, chance)), shapes)
    return torch.where(one_in(3, images, chance), formless, shapes)


def _round_or_square(images: Tensor, chance: torch.Generator) -> Tensor:
    """Draw an ellipse or a rectangle in each image, turned, with a soft border, (B, 1, H, W)."""
    count, _, height, width = images.shape
    down, across = torch.meshgrid(
        torch.linspace(-1, 1, height, device=images.device),
        torch.linspace(-1, 1, width, device=images.device), indexing="ij",
    )  # fmt: skip
    x, y = (at - uniform((count, 1, 1, 1), -0.9, 0.9, chance, images) for at in (across, down))
    turn = uniform((count, 1, 1, 1), 0, math.pi, chance, images)
    radius = log_uniform((count, 1, 1, 1), 0.03, 0.5, chance, images)
    longer = uniform((count, 1, 1, 1), 1, 2.5, chance, images)
    along = (x * turn.cos() + y * turn.sin()) / (radius * longer)
    beside = (y * turn.cos() - x * turn.sin()) / radius
    power = torch.where(one_in(2, images, chance), 2.0, 8.0)
    distance = (along.abs() ** power + beside.abs() ** power) ** (1 / power)  # 1 on the border
    softness = log_uniform((count, 1, 1, 1), 0.01, 0.15, chance, images)
    return ((1 - distance) * radius / softness + 0.5).clamp(0, 1)


def _hidden(scene: Tensor, light: Tensor) -> Tensor:
    """Tell where reflected light leaves nothing to be seen of the scene's, (B, 1, H, W) bool."""
    sigmas = torch.full((len(scene),), float(LOOKED_OVER), device=scene.device)
    own, added = (
        spread(planes.mean(1, keepdim=True), gaussians(sigmas)).clamp(min=0)
        for planes in (scene, light)
    )
    drowned = (added > HIDES * (own + added)) & (added > LEAST_ADDED[0])
    return drowned | ((own + added > BURNT) & (added > LEAST_ADDED[1]))
