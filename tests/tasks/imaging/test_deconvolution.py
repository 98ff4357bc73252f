"""A Gaussian blur is removed as any other kernel is, and large images go by tiles without seams."""

import numpy as np
import skimage.data

from tasks.evaluation.metrics import psnr
from tasks.imaging import degrade
from tasks.imaging.deconvolution import deconvolve, remove_gaussian
from tasks.imaging.kernels import gaussian
from tasks.imaging.tiles import TILE_PIXELS

SIGMA, ROUNDS = 1.2, 8
INNER = (slice(20, -20), slice(20, -20))


def test_a_gaussian_is_removed_as_its_kernel_is():
    truth = skimage.data.coffee().astype(np.float32) / 255
    soft = degrade.softened(truth, SIGMA)
    direct = remove_gaussian(soft, SIGMA, ROUNDS)
    by_kernel = deconvolve(soft, gaussian(SIGMA), ROUNDS)
    assert psnr(direct[INNER], by_kernel[INNER]) > 60
    assert psnr(direct, truth) > psnr(soft, truth) + 2


def test_tiles_of_a_gaussian_leave_no_seam():
    photo = np.vstack([skimage.data.coffee(), skimage.data.coffee()[::-1]])
    soft = degrade.softened(photo.astype(np.float32) / 255, SIGMA)
    assert soft.shape[0] > TILE_PIXELS
    whole = remove_gaussian(soft, SIGMA, ROUNDS)
    seam = slice(TILE_PIXELS - 8, TILE_PIXELS + 8)
    around = slice(TILE_PIXELS - 200, TILE_PIXELS + 200)
    alone = np.zeros_like(soft)
    alone[around] = remove_gaussian(np.ascontiguousarray(soft[around]), SIGMA, ROUNDS)
    assert psnr(whole[seam], alone[seam]) > 60
