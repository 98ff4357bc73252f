"""A shaken photo is mended by its own kernel, and one that no kernel explains is left alone."""

import cv2
import numpy as np
import pytest
import skimage.data

from storage.enums import Category, Decision
from tasks.evaluation.metrics import psnr
from tasks.imaging import degrade
from tasks.lite.classifier import Lite
from tasks.lite.engine import lite_chain
from tasks.receipt import Receipt

pytestmark = pytest.mark.slow

classify = Lite()
MIDDLE = (slice(40, -40), slice(40, -40))


def hook():
    """Return a curved movement, three quarters of a circle that grows."""
    kernel = np.zeros((45, 45), np.float32)
    for turn in np.linspace(0, 1.5 * np.pi, 400):
        row, column = (22 + (4 + turn) * wave(turn) for wave in (np.sin, np.cos))
        kernel[round(row), round(column)] += 1
    return cv2.GaussianBlur(kernel, (0, 0), 0.6) / 400


def aligned_psnr(image, truth):
    """Return the PSNR at the best shift: a kernel does not say where the photo was before."""
    shifts = [(down, right) for down in range(-4, 5) for right in range(-4, 5)]
    return max(psnr(np.roll(image, shift, (0, 1))[MIDDLE], truth[MIDDLE]) for shift in shifts)


def test_a_curved_shake_is_mended_by_a_kernel_of_its_own():
    truth = skimage.data.coffee().astype(np.float32) / 255
    moved = cv2.filter2D(truth, -1, cv2.flip(hook(), -1), borderType=cv2.BORDER_REFLECT)
    verdict = classify(np.rint(moved * 255).astype(np.float32) / 255)
    mended = lite_chain(Category.MOTION_BLUR)(moved, verdict, Receipt())
    gain = aligned_psnr(mended, truth) - aligned_psnr(moved, truth)
    print(f"{verdict.severities}, {gain:+.2f} dB")
    assert (verdict.category, verdict.confident) == (Category.MOTION_BLUR, True)
    assert gain > 4


def test_a_movement_that_no_kernel_explains_is_left_alone():
    photo = skimage.data.coffee().astype(np.float32) / 255
    strips = [part for row in np.vsplit(photo, 4) for part in np.array_split(row, 5, axis=1)]
    moved = [degrade.moved(part, 25, 40 * at) for at, part in enumerate(strips)]
    verdict = classify(np.vstack([np.hstack(moved[at : at + 5]) for at in range(0, 20, 5)]))
    print(verdict.severities, verdict.untouched)
    assert verdict.untouched is not None
    assert verdict.untouched[0] is Decision.UNSURE
