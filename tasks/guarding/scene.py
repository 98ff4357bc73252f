"""What removing a reflection must leave: light, and the edges of the scene behind the pane."""

import cv2
import numpy as np

from tasks.imaging.light import Plane, linear


def light_left(before: Plane, after: Plane) -> float:
    """Return the share of the brightness that is left."""
    return float(after.mean()) / max(float(before.mean()), 1e-6)


def edges_alike(before: Plane, after: Plane) -> float:
    """Return the correlation of the edges before and after, -1 to 1."""
    one, other = _edges(before), _edges(after)
    norm = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
    return float((one * other).sum(dtype=np.float64)) / norm if norm else 1.0


def _edges(plane: Plane) -> Plane:
    fine = cv2.GaussianBlur(plane, (0, 0), 1)
    return np.asarray(cv2.Laplacian(fine, cv2.CV_32F), np.float32)


def busier(before: Plane, after: Plane) -> float:
    """Return the ratio, after to before, of the mean gradient to the root mean square one.

    Gradients are those of the light: without a smooth light they stay as they were. A right
    deconvolution leaves fewer edges, and stronger ones; a ghost that is removed on its wrong side
    leaves more: Krishnan et al., "Blind deconvolution using a normalized sparsity measure", 2011.
    """
    old, new = _density(before), _density(after)
    return new / max(old, 1e-6)


def _density(plane: Plane) -> float:
    smooth = cv2.GaussianBlur(linear(plane), (0, 0), 1)
    slopes = cv2.magnitude(*(cv2.Scharr(smooth, cv2.CV_32F, *way) for way in ((1, 0), (0, 1))))
    strength = float(np.sqrt(np.square(slopes).mean(dtype=np.float64)))
    return float(slopes.mean()) / max(strength, 1e-6)
