"""Draw blur kernels: odd sides, origin in the middle, sum 1."""

import cv2
import numpy as np

from tasks.imaging.light import Plane


def streak(length: float, angle: float) -> Plane:
    """Draw a straight, uniform movement of `length` pixels, `angle` degrees up from the right."""
    along = np.linspace(-(length - 1) / 2, (length - 1) / 2, 32 * int(np.ceil(length)))
    return _dots(along * np.cos(np.radians(angle)), -along * np.sin(np.radians(angle)))


def ghost_kernel(x: float, y: float, weight: float) -> Plane:
    """Draw a point and its ghost, `weight` times as bright, (x, y) pixels to the right and down."""
    return _dots(np.array([0, x]), np.array([0, y]), np.array([1, weight]))


def gaussian(sigma: float) -> Plane:
    """Draw a Gaussian, the blur of a lens slightly out of focus."""
    line = cv2.getGaussianKernel(2 * int(np.ceil(3 * sigma)) + 1, sigma, cv2.CV_32F)
    return np.asarray(line @ line.T, np.float32)


def _dots(x: Plane, y: Plane, weights: Plane | float = 1.0) -> Plane:
    """Draw points at fractional places, each over its four nearest pixels."""
    reach = int(np.ceil(max(np.abs(x).max(), np.abs(y).max()))) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    for column in (left, left + 1):
        for row in (top, top + 1):
            near = (1 - np.abs(x - column)) * (1 - np.abs(y - row)) * weights
            np.add.at(kernel, (row + reach, column + reach), near.astype(np.float32))
    return np.asarray(kernel / kernel.sum(), np.float32)
