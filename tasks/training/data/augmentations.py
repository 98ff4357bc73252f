"""Vary clean photos in ways that a classifier could mistake for a degradation.

Darkness, fog, a background out of focus or in motion, light trails, drops on a window, fine grain,
screenshots. Each function takes and returns float32 images (B, 3, H, W), RGB in [0, 1].
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from tasks.imaging.light import GAMMA
from tasks.training.data import motion_kernels
from tasks.training.data.blur import gaussians, spread
from tasks.training.data.random_draws import log_uniform, one_in, patches, uniform

Augmentation = Callable[[Tensor, torch.Generator], Tensor]


def augmented(images: Tensor, rng: torch.Generator) -> Tensor:
    """Apply one augmentation to a third of the images; dim a fifth, and make a tenth monochrome."""
    varied = images.clone()
    which = torch.multinomial(
        torch.tensor([2.0 * len(AUGMENTATIONS)] + [1.0] * len(AUGMENTATIONS), device=images.device),
        len(images), True, generator=rng,
    )  # fmt: skip
    for number, vary in enumerate(AUGMENTATIONS.values(), 1):
        at = torch.nonzero(which == number).flatten()
        if len(at):
            varied[at] = vary(images[at], rng).clamp(0, 1)
    dimmed = varied * uniform((len(images), 1, 1, 1), 0.35, 1, rng, images)
    varied = torch.where(one_in(5, images, rng), dimmed, varied)
    return torch.where(one_in(10, images, rng), monochrome(varied, rng), varied)


def toned(images: Tensor, rng: torch.Generator) -> Tensor:
    """Vary the tones of images.

    All get another gamma, a third another contrast, brightness and colour of light, a third another
    saturation, and a third the black and white point of a faded print.
    """
    count = len(images)
    bent = images.clamp(0, 1) ** log_uniform((count, 1, 1, 1), 0.65, 1.5, rng, images)
    contrast = uniform((count, 1, 1, 1), 0.75, 1.1, rng, images)
    brightness = uniform((count, 1, 1, 1), -0.04, 0.06, rng, images)
    light = uniform((count, 3, 1, 1), 0.88, 1.12, rng, images)
    varied = ((bent - 0.5) * contrast + 0.5 + brightness) * light
    varied = torch.where(one_in(3, images, rng), varied, bent).clamp(0, 1)
    grey = varied.mean(1, keepdim=True)
    coloured = grey + uniform((count, 1, 1, 1), 0.4, 1.4, rng, images) * (varied - grey)
    varied = torch.where(one_in(3, images, rng), coloured.clamp(0, 1), varied)
    colours = uniform((2, count, 3, 1, 1), -0.04, 0.05, rng, images)
    darkest = (uniform((count, 1, 1, 1), 0, 0.25, rng, images) + colours[0]).clamp(min=0)
    brightest = (uniform((count, 1, 1, 1), 0.65, 1, rng, images) + colours[1]).clamp(max=1)
    faded = darkest + (brightest - darkest) * varied
    return torch.where(one_in(3, images, rng), faded, varied)


def monochrome(images: Tensor, _rng: torch.Generator) -> Tensor:
    """Replace each colour by its mean."""
    return images.mean(1, keepdim=True).expand_as(images)


def bokeh(images: Tensor, rng: torch.Generator) -> Tensor:
    """Blur the background as out of focus, and keep a subject sharp."""
    sigmas = uniform((len(images),), 2, 6, rng, images)
    return _blur_background(images, gaussians(sigmas), rng)


def panning(images: Tensor, rng: torch.Generator) -> Tensor:
    """Blur the background by a movement of the camera, and keep a subject sharp."""
    kernels = motion_kernels.kernels(len(images), 8, 32, rng).to(images)
    return _blur_background(images, kernels, rng)


def fog(images: Tensor, rng: torch.Generator) -> Tensor:
    """Mix the image with grey, more of it in some parts."""
    veil = uniform((len(images), 1, 1, 1), 0.6, 0.9, rng, images)
    thickness = uniform((len(images), 1, 1, 1), 0.3, 0.8, rng, images)
    share = thickness * (0.6 + 0.4 * patches(images, 2, rng))
    return images + share * (veil - images)


def light_trails(images: Tensor, rng: torch.Generator) -> Tensor:
    """Darken the image, and draw bright curves over it, as of cars at night."""
    drawn = motion_kernels.kernels(len(images), 24, 38, rng).to(images)[:, None]
    large = functional.interpolate(
        drawn / drawn.amax((2, 3), keepdim=True), images.shape[2:], mode="bicubic",
        align_corners=False,
    )  # fmt: skip
    colour = uniform((len(images), 3, 1, 1), 0.4, 1, rng, images)
    return 0.4 * images + colour * (3 * large.clamp(0, 1) - 0.5).clamp(0, 1)


def drops(images: Tensor, rng: torch.Generator) -> Tensor:
    """Draw drops on a window: each shows the scene upside down."""
    count, _, height, width = images.shape
    down, across = torch.meshgrid(
        torch.linspace(-1, 1, height, device=images.device),
        torch.linspace(-1, 1, width, device=images.device), indexing="ij",
    )  # fmt: skip
    sources = torch.stack([across, down], -1).expand(count, -1, -1, -1).clone()  # (B, H, W, 2)
    for _ in range(12):
        middle = uniform((count, 1, 1, 2), -1, 1, rng, images)
        radius = log_uniform((count, 1, 1, 1), 0.03, 0.15, rng, images)
        away = torch.stack([across, down], -1) - middle
        inside = away.norm(dim=-1, keepdim=True) < radius
        sources = torch.where(inside, middle - 3 * away, sources)
    return functional.grid_sample(images, sources, padding_mode="reflection", align_corners=True)


def fine_grain(images: Tensor, rng: torch.Generator) -> Tensor:
    """Add fine film grain: sigma of 0.5 to 2 of 255, weaker in bright parts."""
    grain = torch.randn(images[:, :1].shape, generator=rng, device=images.device)
    sigma = uniform((len(images), 1, 1, 1), 0.5, 2, rng, images) / 255
    return images + grain * sigma * (1.3 - images.mean(1, keepdim=True))


def screen(images: Tensor, rng: torch.Generator) -> Tensor:
    """Draw flat windows with lines of dots like text over the image."""
    count, _, height, width = images.shape
    screens = images.clone()
    for number in range(count):
        for _ in range(6):
            spans = torch.rand(8, generator=rng, device=images.device).tolist()
            top, left = int(0.8 * spans[0] * height), int(0.8 * spans[1] * width)
            bottom, right = top + 24 + int(spans[2] * height), left + 32 + int(spans[3] * width)
            paper = screens[number, :, top:bottom, left:right]
            paper[:] = torch.tensor(spans[4:7], device=images.device)[:, None, None].round(
                decimals=1
            )
            ink = 1 - paper[:, :1, :1].round()
            dots = torch.rand(paper.shape[1:], generator=rng, device=images.device) < 0.5
            lines = torch.arange(paper.shape[1], device=images.device) % 12 < 6
            lines = lines[:, None] & (spans[7] < 0.7)
            paper[:] = torch.where(dots & lines, ink, paper)
    return screens


AUGMENTATIONS: dict[str, Augmentation] = {
    "bokeh": bokeh, "panning": panning, "fog": fog, "light trails": light_trails,
    "drops": drops, "fine grain": fine_grain, "screen": screen,
}  # fmt: skip


def _blur_background(images: Tensor, kernels: Tensor, rng: torch.Generator) -> Tensor:
    light = spread(images**GAMMA, kernels).clamp(0, 1) ** (1 / GAMMA)
    mask = ((patches(images, 3, rng) - 0.45) * 20).clamp(0, 1)
    return images + mask * (light - images)
