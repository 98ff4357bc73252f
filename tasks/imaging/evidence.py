"""Measure noise, compression, softness, ghosts and movements of a photo, each in its own unit."""

from dataclasses import dataclass

import cv2
import numpy as np

from storage.photos import Image
from tasks.imaging.cepstrum import Echo, echoes
from tasks.imaging.crops import crops
from tasks.imaging.light import Plane, luma

SIDE, MAX_CROPS = 256, 64
"""Side of a crop in pixels, and most crops: 4 megapixels of any photo are measured."""
BLOCK = 16
"""Side in pixels of the blocks whose noise is compared."""
FLATTEST_PERCENT = 10
"""Percent of the blocks, the flattest, in which noise is measured."""
MAX_WHITE_RATIO = 1.2
"""Largest ratio of the next coarser detail to the finest in white noise; in texture it is about
2."""
TEXTURE_POWER = 4
"""Power of the reduction of the measured noise where that ratio is larger."""
MAX_NOISE = 60.0
"""Largest noise, sigma of 255: stronger detail is a drawn pattern."""
MIN_BLOCKS = 8
"""Fewest blocks of 8 by 8 pixels in a row whose borders are measured."""
LARGEST_STEP = 12 / 255
"""Larger steps between pixels are edges of the scene, and are clipped to this."""
FINE, COARSE = 0.7, 1.5
"""Sigmas in pixels of the two blurs whose slopes are compared at an edge."""
MIN_SLOPE, MIN_FAINT_SLOPE = 0.03, 0.015
"""Smallest slopes per pixel of an edge, after the coarser blur: of any, and of one that has
moved."""
SHARPEST_PERCENTILE, MIN_EDGE_SHARE = 15, 1e-3
"""Percentile that stands for the sharpest edges, and smallest share of the pixels that lie on
edges."""
MIN_MOVED_EDGE_SHARE = 5e-5
"""Smallest share of the pixels that lie on moved edges; a long movement leaves few."""
MAX_ANGLE_DEGREES = 30.0
"""Largest angle in degrees between the slope of an edge and a movement across it."""
INT16_SCALE = 32000


@dataclass(frozen=True)
class Evidence:
    """The measurements of a photo."""

    noise_sigma: float
    """Sigma of the noise of the brightness, of 255."""
    blockiness: tuple[float, float]
    """The step at the borders of 8 by 8 blocks: of 255, and relative to the photo's mean step."""
    edge_sigma: float
    """Sigma in pixels of the Gaussian blur of the sharpest edges; 0 where there are no edges."""
    ghost: Echo
    movement: Echo
    movement_sigma: float
    """Sigma in pixels of the blur of the median edge across the movement; 0 where there is none."""


def measure(image: Image) -> Evidence:
    """Measure an image, RGB in [0, 1], shape (H, W, 3), any H and W."""
    plane = luma(image)
    views = views_of(plane)
    ghost, movement = echoes(plane)
    return Evidence(
        noise_sigma(views),
        blockiness(views),
        edge_sigma(views),
        ghost,
        movement,
        movement_sigma(views, movement.angle),
    )


def views_of(plane: Plane) -> list[Plane]:
    """Return the crops of a brightness plane to measure; none if it is smaller than a block."""
    side = min(SIDE, *plane.shape)
    return list(crops(plane, side, MAX_CROPS)) if side >= BLOCK else []


def noise_sigma(views: list[Plane]) -> float:
    """Estimate the sigma of white noise, of 255, in the flattest blocks; 0 if there is none.

    Noise is measured by the finest diagonal Haar detail. The flattest blocks are chosen by the next
    coarser detail, so that none is chosen because its noise is low by chance. Where the coarser
    detail is much stronger, the fine detail is texture.
    """
    blocks = [_noise_and_texture(view) for view in views]
    if not blocks:
        return 0.0
    noise, texture = np.concatenate(blocks, axis=1)
    flat = np.argsort(texture)[: max(8, texture.size * FLATTEST_PERCENT // 100)]
    sigma, coarser = float(np.median(noise[flat])), float(np.median(texture[flat]))
    trust = min(1.0, MAX_WHITE_RATIO * sigma / max(coarser, 1e-6)) ** TEXTURE_POWER
    return 255 * sigma * trust if 255 * sigma < MAX_NOISE else 0.0


def _noise_and_texture(view: Plane) -> Plane:
    """Return the strengths of the finest and the next coarser detail per block, (2, blocks)."""
    height, width = (side // BLOCK * BLOCK for side in view.shape)
    view = view[:height, :width]
    half = cv2.resize(view, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    fine = _strengths(_diagonal(view), BLOCK // 2)
    coarse = _strengths(_diagonal(np.asarray(half, np.float32)), BLOCK // 4)
    return np.asarray(np.stack([fine, 2 * coarse]), np.float32)


def _diagonal(plane: Plane) -> Plane:
    """Return the finest diagonal Haar detail: it keeps the sigma of white noise, not slopes."""
    diagonal = plane[::2, ::2] - plane[::2, 1::2] - plane[1::2, ::2] + plane[1::2, 1::2]
    return np.asarray(diagonal / 2, np.float32)


def _strengths(detail: Plane, side: int) -> Plane:
    """Return the root mean square of each block of `side` by `side` pixels, (blocks,)."""
    rows, columns = detail.shape[0] // side, detail.shape[1] // side
    squares = np.square(detail).reshape(rows, side, columns, side)
    return np.asarray(np.sqrt(squares.mean((1, 3))).ravel(), np.float32)


def blockiness(views: list[Plane]) -> tuple[float, float]:
    """Return the excess of the step at every eighth pixel: of 255, and relative to the mean step.

    The weaker of both directions is returned: blocks have both, stripes and letters mostly one.
    """
    if not views or views[0].shape[0] < 8 * MIN_BLOCKS:
        return 0.0, 0.0
    return min(_stripes(views), _stripes([view.T for view in views]))


def _stripes(views: list[Plane]) -> tuple[float, float]:
    """Return the excess of the step between every eighth pair of columns, as `blockiness` does."""
    steps = np.mean([_steps(view).mean(0) for view in views], axis=0)
    outstanding = steps[1:-1] - (steps[:-2] + steps[2:]) / 2
    second, first = sorted(float(outstanding[phase::8].mean()) for phase in range(8))[-2:]
    lead = first - max(0.0, second)
    return 255 * lead, lead / (float(steps.mean()) + 1e-4)


def _steps(view: Plane) -> Plane:
    return np.asarray(np.minimum(np.abs(np.diff(view, axis=1)), LARGEST_STEP), np.float32)


def edge_sigma(views: list[Plane]) -> float:
    """Estimate the blur of the sharpest strong edges, as the sigma of a Gaussian in pixels."""
    return _percentile(
        views, [_edges(view, MIN_SLOPE)[0] for view in views], SHARPEST_PERCENTILE, MIN_EDGE_SHARE
    )


def movement_sigma(views: list[Plane], angle: float) -> float:
    """Estimate the blur of the median edge across a movement, sigma in pixels."""
    across = []
    for view in views:
        sigmas, angles = _edges(view, MIN_FAINT_SLOPE)
        across.append(sigmas[np.abs((angles - angle + 90) % 180 - 90) < MAX_ANGLE_DEGREES])
    return _percentile(views, across, 50, MIN_MOVED_EDGE_SHARE)


def _percentile(views: list[Plane], parts: list[Plane], percent: int, min_share: float) -> float:
    sigmas = np.concatenate([*parts, np.zeros(0, np.float32)])
    enough = min_share * sum(view.size for view in views)
    return float(np.percentile(sigmas, percent)) if sigmas.size > enough else 0.0


def _edges(view: Plane, weakest: float) -> tuple[Plane, Plane]:
    """Return each edge's blur, sigma in pixels, and slope angle, degrees up from the right.

    The blur is computed from the loss of slope by a further blur of known sigma:
    Zhuo and Sim, "Defocus map estimation from a single image", 2011, section 3.
    """
    fine, coarse = _slopes(view, FINE), _slopes(view, COARSE)
    across, down = (np.rint(slope * INT16_SCALE).astype(np.int16) for slope in coarse)
    edges = (
        cv2.Canny(across, down, weakest * INT16_SCALE, weakest * INT16_SCALE, L2gradient=True) > 0
    )
    lost = np.square(np.hypot(*fine)[edges] / np.hypot(*coarse)[edges])
    lost = np.clip(lost, 1.001, (COARSE / FINE) ** 2)
    sigmas = np.sqrt(np.maximum(0, (COARSE**2 - lost * FINE**2) / (lost - 1)))
    return sigmas, np.degrees(np.arctan2(-coarse[1][edges], coarse[0][edges]))


def _slopes(view: Plane, sigma: float) -> tuple[Plane, Plane]:
    soft = cv2.GaussianBlur(view, (0, 0), sigma)
    x, y = (cv2.Sobel(soft, cv2.CV_32F, *along, scale=1 / 8) for along in ((1, 0), (0, 1)))
    return np.asarray(x, np.float32), np.asarray(y, np.float32)
