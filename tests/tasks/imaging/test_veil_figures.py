"""A reflection shows in the figures of the blocks."""

import cv2
import numpy as np
import pytest
import skimage.data

from tasks.imaging.light import coded, linear
from tasks.imaging.veil_figures import DARKEST_FIGURES, FIGURES, GRID, figures_of


@pytest.mark.parametrize("shape", [(1, 1), (7, 900), (33, 64), (480, 400)])
def test_photos_of_any_size_are_measured(shape):
    image = np.random.default_rng(1).random((*shape, 3), np.float32)
    figures = figures_of(image)
    assert figures.shape == (GRID, GRID, FIGURES)
    assert figures.dtype == np.float32
    assert np.isfinite(figures).all()


def test_under_a_veil_nothing_is_dark():
    image = skimage.data.chelsea().astype(np.float32) / 255
    scene = cv2.resize(image, (480, 400), interpolation=cv2.INTER_AREA)
    before, after = (
        figures_of(each)[..., DARKEST_FIGURES] for each in (scene, coded(linear(scene) + 0.1))
    )
    assert (after > before).all()
    assert after.min() > 0.3
