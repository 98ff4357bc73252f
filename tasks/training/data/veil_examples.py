"""Make training examples of the net against reflections: figures of photos, and the added light.

They are made once, because measuring the figures takes longer than a training step; each batch of
them is rotated, mirrored and its colours are exchanged.
"""

from dataclasses import dataclass, fields

import cv2
import numpy as np
import torch
from rich.progress import track
from torch import Tensor
from torch.nn import functional

from storage.enums import Degradation
from storage.photos import Image
from tasks.imaging.light import GAMMA
from tasks.imaging.veil_figures import DARKEST_FIGURES, FIGURES, GRID, SIDE, Maps, figures_of
from tasks.training.data.augmentations import augmented, toned
from tasks.training.data.blur import gaussians, spread
from tasks.training.data.classifier_examples import severity
from tasks.training.data.compression import in_8_bits, jpeg
from tasks.training.data.degradations import behind_a_pane
from tasks.training.data.noise import noise
from tasks.training.data.random_draws import one_in, uniform

BATCH = 10
"""Photos that are made at once; counts must be multiples of it."""
MIN_PROGRESS_COUNT = 1000
"""Smallest count of photos for which progress is shown."""
CLEAR_SHARE = 0.45
"""Share of the photos without a reflection."""
MIN_PART = 0.55
"""Smallest side of an enlarged part of a photo, as a share of the photo's."""
RGB_FIGURES = 6
"""Number of figures, the first ones of a block, that have a red, a green and a blue value."""
MIN_LIGHT = 2e-3
"""Smallest light that is converted to values of a file; below, the conversion is too steep to learn
from."""


@dataclass(frozen=True)
class Veiled:
    """The figures of photos, and their reflections."""

    figures: Tensor
    """(B, FIGURES, GRID, GRID)"""
    light: Tensor
    """The added light, linear RGB, (B, 3, GRID, GRID)."""
    severities: Tensor
    """(B,)"""
    changes: Tensor
    """The root mean square change by the reflection, (B,)."""

    def to(self, device: torch.device) -> "Veiled":
        """Return the same on a device."""
        return Veiled(*(getattr(self, field.name).to(device) for field in fields(self)))

    def at(self, which: Tensor, rng: torch.Generator) -> "Veiled":
        """Return the photos `which`, rotated, mirrored and with exchanged colours at random."""
        turns, mirrored = (
            int(torch.randint(limit, (1,), generator=rng, device=rng.device)) for limit in (4, 2)
        )
        colours = torch.randperm(3, generator=rng, device=rng.device)
        figures, light = self.figures[which].float(), self.light[which][:, colours].float()
        parts = [*torch.split(figures, 3, 1)]
        parts[:RGB_FIGURES] = [part[:, colours] for part in parts[:RGB_FIGURES]]
        figures, light = (
            torch.rot90(each, turns, (2, 3)).flip([3] * mirrored)
            for each in (torch.cat(parts, 1), light)
        )
        return Veiled(figures, light, self.severities[which], self.changes[which])


def veiled(squares: Tensor, count: int, rng: torch.Generator) -> Veiled:
    """Make `count` photos, about half with a reflection, from uint8 squares (N, 3, S, S)."""
    examples = Veiled(  # allocated once: small pieces would fragment the heap
        torch.empty((count, FIGURES, GRID, GRID), dtype=torch.float16),
        torch.empty((count, 3, GRID, GRID), dtype=torch.float16),
        torch.empty(count),
        torch.empty(count),
    )
    for at in track(range(0, count, BATCH), "photos", disable=count < MIN_PROGRESS_COUNT):
        photos, added, changes = _batch(squares, rng)
        for number, (photo, light) in enumerate(zip(photos, added, strict=True), at):
            examples.figures[number] = _planes(figures_of(_pixels(photo)))
            small = cv2.resize(_pixels(light), (GRID, GRID), interpolation=cv2.INTER_AREA)
            examples.light[number] = _planes(np.asarray(small, np.float32))
        examples.changes[at : at + BATCH] = changes
    examples.severities[:] = severity(Degradation.REFLECTION, examples.changes)
    return examples


def lifted(figures: Tensor, shares: Tensor) -> Tensor:
    """Return the mean colours of blocks, as in a file, without `shares` of their darkest light."""
    light = (
        figures[:, :3].clamp(min=0) ** GAMMA
        - shares * figures[:, DARKEST_FIGURES].clamp(min=0) ** GAMMA
    )
    return _coded(light)


def unveiled(veiled: Veiled) -> Tensor:
    """Return the mean colours of blocks, as in a file, without the added light."""
    return _coded(veiled.figures[:, :3].float().clamp(min=0) ** GAMMA - veiled.light)


def _coded(light: Tensor) -> Tensor:
    return light.clamp(min=MIN_LIGHT) ** (1 / GAMMA)


def _batch(squares: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Return photos, the light that was added to each, and the root mean square change."""
    images, others = (_random_scenes(squares, rng) for _ in range(2))
    images, others = toned(augmented(images, rng), rng), toned(others, rng)
    is_veiled = uniform((BATCH, 1, 1, 1), 0, 1, rng, images) > CLEAR_SHARE
    both, scene = behind_a_pane(images, others, rng)
    both = torch.where(is_veiled, both, scene)
    frame = (squares.shape[2] - SIDE) // 2  # blur is circular at the border
    inside = (..., slice(frame, frame + SIDE), slice(frame, frame + SIDE))
    added = (both**GAMMA - scene**GAMMA).clamp(min=0)[inside]
    changes = (both - scene)[inside].square().mean((1, 2, 3)).sqrt()
    return in_8_bits(_as_saved(both, rng))[inside], added, changes


def _random_scenes(squares: Tensor, rng: torch.Generator) -> Tensor:
    which = torch.randint(len(squares), (BATCH,), generator=rng)
    images = squares[which].float() / 255
    images = torch.where(one_in(2, images, rng), images.flip(3), images)
    images = torch.where(one_in(4, images, rng), torch.rot90(images, 1, (2, 3)), images)
    parts = torch.cat([_part(image[None], rng) for image in images])
    return torch.where(one_in(1.6, images, rng), parts, images)


def _part(image: Tensor, rng: torch.Generator) -> Tensor:
    """Cut a smaller square at a random place, and enlarge it to the whole size."""
    whole = image.shape[2]
    side = int(uniform((), MIN_PART, 1, rng, image) * whole)
    top, left = torch.randint(whole - side + 1, (2,), generator=rng).tolist()
    part = image[..., top : top + side, left : left + side]
    enlarged = functional.interpolate(part, (whole, whole), mode="bicubic", align_corners=False)
    return enlarged.clamp(0, 1)


def _as_saved(images: Tensor, rng: torch.Generator) -> Tensor:
    """Add noise, blur or compression to some photos."""
    sigma = uniform((BATCH, 1, 1, 1), 0, 5, rng, images) / 255
    images = torch.where(one_in(3, images, rng), images + noise(images, sigma, rng), images).clamp(
        0, 1
    )
    soft = spread(images, gaussians(uniform((BATCH,), 0.4, 2, rng, images))).clamp(0, 1)
    images = torch.where(one_in(6, images, rng), soft, images)
    quality = uniform((BATCH,), 60, 98, rng, images)
    return torch.where(one_in(3, images, rng), jpeg(images, quality, rng), images)


def _pixels(planes: Tensor) -> Image:
    return np.ascontiguousarray(planes.permute(1, 2, 0).numpy())


def _planes(pixels: Maps) -> Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1)
