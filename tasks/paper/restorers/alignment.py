"""Align faces for a face net, and put the results back into the photo.

Each face is turned and scaled so that eyes, nose and mouth lie as in FFHQ (Karras et al., "A
Style-Based Generator Architecture for Generative Adversarial Networks", CVPR 2019).
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from storage.photos import Image
from tasks.imaging.light import Plane
from tasks.paper.detectors.faces import Points

Affine = NDArray[np.float64]
"""(2, 3), from the photo's pixels to those of the aligned face."""

SIDE = 512
"""Side in pixels of an aligned face."""
TEMPLATE = np.array([
    (192.98138, 239.94708), (318.90277, 240.1936), (256.63416, 314.01935),
    (201.26117, 371.41043), (313.08905, 371.15118),
])  # fmt: skip
"""The five points of FFHQ's faces of this size (x, y)."""
OUTSIDE_COLOUR = (132 / 255, 133 / 255, 135 / 255)
"""Colour outside of the photo, RGB."""
MIN_EYE_DISTANCE, MAX_EYE_DISTANCE = 10.0, 160.0
"""Smallest and largest distance between the eyes, in pixels of the photo: of a smaller face the net invents
the identity, a larger one has more pixels than the net returns."""
MAX_MISFIT = 30.0
"""Largest distance between the points and the template, root mean square in pixels. Measured on 16 frontal
faces: 4 to 18; a larger one is a face in profile, or none."""
CENTRE, RADII = (256, 268), (200, 236)
"""Centre and radii, x and y, of the ellipse in which a net's changes are used."""
FADE = 0.3
"""Share of the radii over which the changes fade out."""
OVERSAMPLING = 2
"""Resolution of the added change over the photo's. Measured: a sixth of the removed noise stays, instead of
two thirds with 1 and linear interpolation."""
PASTE_FADE = 20
"""The published paste fades over the face's side divided by this."""


class FaceRefused(Exception):
    """A face is not restored; the message is the reason, in two or three words."""


def align(points: Points) -> Affine:
    """Return the rotation, scaling and shift from a face to the template.

    Raises:
        FaceRefused: the face is too small, too large, or not frontal.

    """
    affine = fit(points)
    if affine is None:
        raise FaceRefused("no face")
    eyes = math.dist(*TEMPLATE[:2]) / _scale(affine)
    if eyes < MIN_EYE_DISTANCE:
        raise FaceRefused("too small")
    if eyes > MAX_EYE_DISTANCE:
        raise FaceRefused("too large")
    misfit = points @ affine[:, :2].T + affine[:, 2] - TEMPLATE
    if math.sqrt(float(np.square(misfit).sum(1).mean())) > MAX_MISFIT:
        raise FaceRefused("in profile")
    return affine


def fit(points: Points) -> Affine | None:
    """Return the least-median-of-squares fit of five points to the template, as published, or None."""
    found, _ = cv2.estimateAffinePartial2D(points, TEMPLATE, method=cv2.LMEDS)
    if found is None:
        return None
    affine = np.asarray(found, np.float64)
    return affine if np.isfinite(affine).all() and _scale(affine) > 0 else None


def crop(image: Image, affine: Affine, interpolation: int = cv2.INTER_LINEAR) -> Image:
    """Return the aligned face, (512, 512, 3); the published interpolation is linear."""
    size = (SIDE, SIDE)
    face = cv2.warpAffine(image, affine, size, flags=interpolation, borderValue=OUTSIDE_COLOUR)
    return np.asarray(face, np.float32)


def paste(image: Image, face: Image, affine: Affine, scale: int = 1) -> Image:
    """Return an image with a restored face pasted in as published, with a soft square.

    `image` is the photo enlarged by `scale`, `affine` is of the photo itself. Unchanged parts of the
    face are blurred, so this is only used if `faithful` is set.
    """
    size = image.shape[1::-1]
    back = np.asarray(cv2.invertAffineTransform(affine), np.float64) * scale
    if scale > 1:
        back[:, 2] += 0.5 * scale
    pasted = cv2.warpAffine(face, back, size)
    square = cv2.warpAffine(np.ones((SIDE, SIDE), np.float32), back, size)
    square = cv2.erode(square, np.ones(2 * (2 * scale,), np.uint8))
    edge = int(math.sqrt(float(square.sum(dtype=np.float64)))) // PASTE_FADE
    inner = cv2.erode(square, np.ones(2 * (2 * edge,), np.uint8)) if edge else square
    share = cv2.GaussianBlur(inner, 2 * (2 * edge + 1,), 0)[..., np.newaxis]
    return np.asarray(share * (square[..., np.newaxis] * pasted) + (1 - share) * image, np.float32)


def add_change(image: Image, change: Image, affine: Affine) -> None:
    """Add the change of an aligned face to the image in place, fading out around the face."""
    side = min(SIDE, math.ceil(OVERSAMPLING * SIDE / _scale(affine)))
    change = change * _ellipse()[..., np.newaxis]
    small = cv2.resize(change, (side, side), interpolation=cv2.INTER_AREA)
    step = SIDE / side
    enlarge = np.array([(step, 0, step / 2 - 0.5), (0, step, step / 2 - 0.5), (0, 0, 1)])
    back = np.asarray(cv2.invertAffineTransform(affine) @ enlarge, np.float64)
    square = np.array([(-2, -2), (side + 1, -2), (-2, side + 1), (side + 1, side + 1)])
    corners = square @ back[:, :2].T + back[:, 2]
    height, width = image.shape[:2]
    left, top = np.clip(np.floor(corners.min(0)), 0, (width, height)).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(0)) + 1, 0, (width, height)).astype(int)
    if left >= right or top >= bottom:
        return
    back[:, 2] -= left, top
    size = int(right - left), int(bottom - top)
    moved = cv2.warpAffine(small, back, size, flags=cv2.INTER_CUBIC)
    view = image[top:bottom, left:right]
    np.clip(view + moved, 0, 1, out=view)


def _ellipse() -> Plane:
    """Return the weight of a change: 1 on the face, 0 outside of the ellipse."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    radius = np.hypot((x - CENTRE[0]) / RADII[0], (y - CENTRE[1]) / RADII[1])
    ramp = np.clip((1 - radius) / FADE, 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), np.float32)


def _scale(affine: Affine) -> float:
    """Return the factor from the photo's pixels to those of the aligned face."""
    return math.hypot(affine[0, 0], affine[1, 0])
