"""See what a pane lays over a photo, and how much of it: a small net on what was measured block by block.

A reflection adds light. So nothing under it is dark any more, its colours are paler, and within a
block they lie on no line: He et al., "Single image haze removal using dark channel prior", 2009,
section 3, and Levin et al., "A closed-form solution to natural image matting", 2008, section 4. A
net that sees these figures learns from a thousand scenes what one that sees pixels did not.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from storage.photos import Image
from tasks import weights
from tasks.light import GAMMA, Plane, luma

Maps = NDArray[np.float32]

SIDE, GRID = 256, 32
"""Pixels of the shrunken photo that is looked at, and its blocks along each side."""
BLOCK = SIDE // GRID
FIGURES = 25
"""Of each block."""
LOWEST = slice(3, 6)
"""Where among them the darkest red, green and blue stand."""
NEAR, FAR = 3, 9
"""Blocks across of the surroundings whose darkest and brightest light is told, too."""
FAINTEST = 1e-3
"""What is weaker counts as nothing, when logarithms are taken."""


class Veil(NamedTuple):
    """What lies over a photo."""

    logit: float
    """Of the severity."""
    light: Image
    """What the pane adds, linear RGB, (GRID, GRID, 3) over the whole photo."""

    @property
    def severity(self) -> float:
        """How bad it is, in [0, 1]."""
        return 1 / (1 + math.exp(-self.logit))


def veil(image: Image) -> Veil:
    """Tell what lies over an image, RGB in [0, 1], shape (H, W, 3), any H and W."""
    figures = figures_of(image)
    shares, logits = weights.run("reflection", figures)
    return Veil(
        float(logits.ravel()[0]),
        np.moveaxis(shares[0], 0, -1) * figures[..., LOWEST] ** np.float32(GAMMA),
    )


def figures_of(image: Image) -> Maps:
    """Measure each block of an image that is shrunk to a square, (GRID, GRID, FIGURES)."""
    shrunk = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    small = np.asarray(shrunk, np.float32).clip(0, 1)
    pixels = _blocks(small)
    mean, low, high = pixels.mean((1, 3)), pixels.min((1, 3)), pixels.max((1, 3))
    grey = luma(small)
    return np.dstack(
        [
            mean, low, high,
            cv2.erode(low, np.ones((NEAR, NEAR))), cv2.erode(low, np.ones((FAR, FAR))),
            cv2.dilate(high, np.ones((NEAR, NEAR))),
            *_details(grey), *_colours(pixels - mean[:, None, :, None]), _coherence(grey),
            (mean.max(2) - mean.min(2)) / (mean.max(2) + 0.02),  # saturation
        ]
    ).astype(np.float32)  # fmt: skip


def _blocks(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    return plane.reshape(GRID, BLOCK, GRID, BLOCK, -1)


def _mean(plane: Plane) -> Plane:
    return np.asarray(_blocks(plane).mean((1, 3))[..., 0], np.float32)


def _details(grey: Plane) -> list[Plane]:
    """Give the logarithm of how strong fine and less fine detail is."""
    soft, softer = (cv2.GaussianBlur(grey, (0, 0), sigma) for sigma in (1, 3))
    return [np.log(np.sqrt(_mean(part**2)) + FAINTEST) for part in (grey - soft, soft - softer)]


def _colours(pixels: NDArray[np.float32]) -> list[Plane]:
    """Tell how far the colours of a block spread, and whether along a line, in a plane or in space."""
    covariance = np.einsum("iajbc,iajbd->ijcd", pixels, pixels) / BLOCK**2
    first, second, third = np.moveaxis(np.linalg.eigvalsh(covariance)[..., ::-1], -1, 0).clip(
        0
    ) + np.float32(0.01 * FAINTEST)
    return [np.log(first), np.log(second / first), np.log(third / second)]


def _coherence(grey: Plane) -> Plane:
    """Tell whether the slopes of a block have one direction, 0 to 1."""
    x, y = (cv2.Sobel(grey, cv2.CV_32F, *along, scale=1 / 8) for along in ((1, 0), (0, 1)))
    across, down, both = _mean(x * x), _mean(y * y), _mean(x * y)
    one_way = np.sqrt((across - down) ** 2 + 4 * both**2)
    return np.asarray(one_way / (across + down + 0.01 * FAINTEST), np.float32)
