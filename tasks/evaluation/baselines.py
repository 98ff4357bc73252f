"""Classical denoisers that `photomend evaluate --baseline` runs on the same pairs."""

import math
from importlib.util import find_spec
from typing import assert_never

import cv2
import numpy as np

from storage.enums import Baseline
from storage.errors import PhotomendError
from storage.photos import Image

NLM_LIGHT, NLM_COLOUR = 3.0, 6.0
"""Strengths of OpenCV's non-local means, of 255."""
IMMERKAER = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)


class BaselineMissing(PhotomendError):
    """The package of a baseline is not installed; the message says how to install it."""


def check(baseline: Baseline) -> None:
    """Raise unless a baseline can run here.

    Raises:
        BaselineMissing: its package is not installed.

    """
    if baseline is Baseline.BM3D and find_spec("bm3d") is None:
        raise BaselineMissing(
            "--baseline bm3d needs the package bm3d, which photomend does not install; "
            "install it with `pip install bm3d` (not for commercial use)"
        )


def denoised(image: Image, baseline: Baseline) -> Image | None:
    """Return an image as a baseline restores it, RGB in [0, 1], (H, W, 3); None without one."""
    match baseline:
        case Baseline.NONE:
            return None
        case Baseline.NLM:
            return _nlm(image)
        case Baseline.BM3D:
            import bm3d

            restored = bm3d.bm3d_rgb(image, noise_sigma(image))
            return np.asarray(np.clip(restored, 0, 1), np.float32)
        case _:
            assert_never(baseline)


def _nlm(image: Image) -> Image:
    blue_first = np.rint(image[..., ::-1] * 255).astype(np.uint8)
    smooth = cv2.fastNlMeansDenoisingColored(blue_first, None, NLM_LIGHT, NLM_COLOUR)
    return smooth[..., ::-1].astype(np.float32) / np.float32(255)


def noise_sigma(image: Image) -> float:
    """Return the standard deviation of white noise in each channel, at least 0.5 of 255.

    Immerkaer, "Fast noise variance estimation", 1996: the mean absolute response of a filter that
    ignores slopes.
    """
    response = cv2.filter2D(image, -1, IMMERKAER)
    return max(0.5 / 255, math.sqrt(math.pi / 2) / 6 * float(np.abs(response).mean()))
