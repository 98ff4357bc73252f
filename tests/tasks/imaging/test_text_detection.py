"""The text detector finds lines of text, and nothing where there is none."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image as Pictures

from tasks.imaging.text_detection import _padded, find_text

TEXT = Path(__file__).parents[3] / "../shared/photos/clear/text"


def test_a_drawn_line_is_masked_and_the_rest_is_not():
    page = np.full((400, 700, 3), 0.9, np.float32)
    cv2.putText(page, "Hello photomend", (60, 210), cv2.FONT_HERSHEY_SIMPLEX, 2, (0.1, 0.1, 0.1), 4)
    mask = find_text(page)
    assert mask.shape == (400, 700)
    assert mask.dtype == np.float32
    assert mask[170:205, 80:500].min() > 0.9
    assert mask[:100].max() == mask[300:].max() == 0
    assert 0 < np.unique(mask)[1] < 1  # its border fades


def test_a_photographed_sign_is_found():
    sign = TEXT / "easyocr" / "french.jpg"
    if not sign.is_file():
        pytest.skip("the shared photographs are not beside this checkout")
    with Pictures.open(sign) as picture:
        share = find_text(np.asarray(picture.convert("RGB"), np.float32) / 255).mean()
    assert 0.02 < share < 0.6


def test_a_photo_without_text_has_an_empty_mask():
    assert not find_text(skimage.data.coffee().astype(np.float32) / 255).any()


@pytest.mark.parametrize("shape", [(1, 1), (8, 900), (16, 16), (20, 3000)])
def test_any_size_has_a_mask(shape):
    assert find_text(np.zeros((*shape, 3), np.float32)).shape == shape


@pytest.mark.slow
def test_a_line_on_a_tall_strip_is_found():
    strip = np.full((2000, 200, 3), 0.9, np.float32)
    cv2.putText(strip, "Hello", (10, 1000), cv2.FONT_HERSHEY_SIMPLEX, 1.8, (0.1, 0.1, 0.1), 4)
    mask = find_text(strip)
    assert mask.shape == (2000, 200)
    assert mask[970:995, 20:140].min() > 0.9
    assert mask[:850].max() == mask[1150:].max() == 0


@pytest.mark.parametrize("shape", [(4000, 70), (70, 4000), (8000, 400)])
def test_a_strip_is_framed_so_that_enlarging_it_stays_cheap(shape):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    padded = _padded(pixels)
    assert max(padded.shape) == max(shape)
    assert max(padded.shape) <= 8 * min(padded.shape[:2])
    assert np.array_equal(padded[: shape[0], : shape[1]], pixels)
