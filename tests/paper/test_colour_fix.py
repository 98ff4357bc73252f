"""Colours come from the original and detail stays, as in the authors' code."""

from pathlib import Path

import numpy as np
import pytest
import skimage.data

pytest.importorskip("torch", reason="the paper engine's packages are not installed")

from tasks.paper.restorers.colour_fix import by_wavelets, coarse, resized

GOLDEN = Path(__file__).parents[2] / "../shared/parity/colour_fix.safetensors"
PHOTO = skimage.data.astronaut()[:256, :256].astype(np.float32) / 255


@pytest.fixture(scope="module")
def golden():
    if not GOLDEN.is_file():
        pytest.skip("the golden tensors are not beside this checkout")
    files = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
    tensors = files.load_file(GOLDEN)
    return {name: np.moveaxis(held[0], 0, -1).copy() for name, held in tensors.items()}


def test_wavelets_are_the_authors(golden):
    content, style = golden["in.content"], golden["in.style"]
    close = {"rtol": 0, "atol": 1e-6}  # sums of float32 in another order
    assert np.allclose(coarse(content), golden["content_low"], **close)
    assert np.allclose(content - coarse(content), golden["content_high"], **close)
    assert np.allclose(by_wavelets(content, style), golden["wavelet"], **close)


def test_a_colour_cast_is_removed():
    enlarged = resized(PHOTO, (512, 512))
    cast = enlarged * np.float32((0.9, 1, 0.8)) + np.float32((0.05, 0, 0.1))
    before, after = (
        np.std(image - enlarged, axis=-1).mean() for image in (cast, by_wavelets(cast, PHOTO))
    )
    assert after < before / 3


def test_detail_is_kept_where_the_original_has_none():
    board = np.indices((64, 64)).sum(0) % 2
    detailed = np.float32(0.3) + np.float32((0.2,) * 3) * board[..., np.newaxis].astype(np.float32)
    fixed = by_wavelets(detailed, np.full((16, 16, 3), 0.6, np.float32))
    assert np.abs(np.diff(fixed, axis=0)).min() == pytest.approx(0.2, abs=1e-3)
    assert fixed.mean() == pytest.approx(0.6, abs=1e-3)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (7, 5)])
def test_any_size_is_fixed(size):
    small = np.full((*size, 3), 0.5, np.float32)
    large = np.full((4 * size[0], 4 * size[1], 3), 0.25, np.float32)
    assert np.allclose(by_wavelets(large, small), 0.5, atol=1e-6)
