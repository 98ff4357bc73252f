"""Measure what is wrong with a photo: noise, compression and softness, each in its own unit."""

from dataclasses import dataclass

import cv2
import numpy as np

from storage.photos import Image
from tasks.imaging.cepstrum import Echo, echoes
from tasks.imaging.crops import crops
from tasks.imaging.light import Plane, luma

SIDE, MAX_CROPS = 256, 64
"""Pixels of a crop and how many are looked at: 4 megapixels of any photo."""
BLOCK = 16
"""Pixels of the blocks among which the flattest are looked for."""
FLATTEST_PERCENT = 10
"""Percent of the blocks that are taken for flat."""
MAX_WHITE_RATIO = 1.2
"""How much stronger half as fine a detail may be in noise; in texture it is twice as strong."""
TEXTURE_POWER = 4
"""The power by which what exceeds that is taken off."""
MAX_NOISE = 60.0
"""Sigma of 255; what is stronger is a pattern that somebody drew."""
MIN_BLOCKS = 8
"""Of 8 by 8 pixels in a row, for the step at their borders to be no accident."""
LARGEST_STEP = 12 / 255
"""A larger one is an edge of the scene and counts as this."""
FINE, COARSE = 0.7, 1.5
"""The blurs whose slopes are compared at an edge, sigma in pixels."""
MIN_SLOPE, MIN_FAINT_SLOPE = 0.03, 0.015
"""The slopes of the weakest edges that are looked at, after the coarser blur, a pixel."""
SHARPEST_PERCENTILE, MIN_EDGE_SHARE = 15, 1e-3
"""The percentile that stands for the sharpest edges, and the least share of the pixels on one."""
MIN_MOVED_EDGE_SHARE = 5e-5
"""A long movement leaves few."""
MAX_ANGLE_DEGREES = 30.0
"""Degrees by which a slope may differ from a movement and still be said to run along it."""
INT16_SCALE = 32000


@dataclass(frozen=True)
class Evidence:
    """What was measured of a photo."""

    noise_sigma: float
    """Of the brightness, of 255."""
    blockiness: tuple[float, float]
    """The step at the borders of 8 by 8 blocks: of 255, and beside the photo's mean step."""
    edge_sigma: float
    """Of the Gaussian that would blur its sharpest edges so, in pixels; 0 where there is no edge."""
    ghost: Echo
    movement: Echo
    movement_sigma: float
    """Like `edge_sigma`, of the median edge that the movement runs across; 0 where there is none."""


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
    """Give the crops of a brightness plane that are measured."""
    side = min(SIDE, *plane.shape)
    return list(crops(plane, side, MAX_CROPS)) if side >= BLOCK else []


def noise_sigma(views: list[Plane]) -> float:
    """Estimate the sigma of white noise, of 255, in the flattest blocks of the crops; 0 if unseen.

    The noise is the finest diagonal Haar detail. How flat a block is, is judged by the next coarser
    one, so that no block is picked for being quiet by chance; where that one is much stronger, the
    fine detail is texture.
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
    """Give the strength of the finest and of the next coarser detail of each block, (2, blocks)."""
    height, width = (side // BLOCK * BLOCK for side in view.shape)
    view = view[:height, :width]
    half = cv2.resize(view, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    fine = _strengths(_diagonal(view), BLOCK // 2)
    coarse = _strengths(_diagonal(np.asarray(half, np.float32)), BLOCK // 4)
    return np.asarray(np.stack([fine, 2 * coarse]), np.float32)


def _diagonal(plane: Plane) -> Plane:
    """Give the finest diagonal Haar detail: white noise keeps its sigma, slopes vanish."""
    diagonal = plane[::2, ::2] - plane[::2, 1::2] - plane[1::2, ::2] + plane[1::2, 1::2]
    return np.asarray(diagonal / 2, np.float32)


def _strengths(detail: Plane, side: int) -> Plane:
    """Give the root mean square of each block of `side` pixels square, in a row."""
    rows, columns = detail.shape[0] // side, detail.shape[1] // side
    squares = np.square(detail).reshape(rows, side, columns, side)
    return np.asarray(np.sqrt(squares.mean((1, 3))).ravel(), np.float32)


def blockiness(views: list[Plane]) -> tuple[float, float]:
    """Tell how far the step at every eighth pixel stands out: of 255, and beside the mean step.

    Of the two directions the weaker counts: blocks have both, stripes and letters mostly one.
    """
    if not views or views[0].shape[0] < 8 * MIN_BLOCKS:
        return 0.0, 0.0
    return min(_stripes(views), _stripes([view.T for view in views]))


def _stripes(views: list[Plane]) -> tuple[float, float]:
    steps = np.mean([_steps(view).mean(0) for view in views], axis=0)
    outstanding = steps[1:-1] - (steps[:-2] + steps[2:]) / 2
    second, first = sorted(float(outstanding[phase::8].mean()) for phase in range(8))[-2:]
    lead = first - max(0.0, second)
    return 255 * lead, lead / (float(steps.mean()) + 1e-4)


def _steps(view: Plane) -> Plane:
    return np.asarray(np.minimum(np.abs(np.diff(view, axis=1)), LARGEST_STEP), np.float32)


def edge_sigma(views: list[Plane]) -> float:
    """Estimate how blurred the sharpest of the strong edges are, in pixels of a Gaussian."""
    return _percentile(
        views, [_edges(view, MIN_SLOPE)[0] for view in views], SHARPEST_PERCENTILE, MIN_EDGE_SHARE
    )


def movement_sigma(views: list[Plane], angle: float) -> float:
    """Estimate how blurred the median edge is that a movement at `angle` degrees runs across."""
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
    """Give the blur of each edge, sigma in pixels, and its slope's angle, degrees up from the right.

    What an edge loses by a blur of known sigma tells the blur it had:
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
