"""The measurements of photos that were degraded by a known amount."""

import numpy as np
import pytest
import skimage.data

from tasks.imaging import degrade
from tasks.imaging.cepstrum import NO_ECHO, echoes, ghost_weight
from tasks.imaging.evidence import measure, views_of
from tasks.imaging.kernels import gaussian, ghost_kernel, streak
from tasks.imaging.light import luma


@pytest.fixture(scope="module")
def cat():
    return skimage.data.chelsea().astype(np.float32) / 255


@pytest.fixture(scope="module")
def astronaut():
    return skimage.data.astronaut().astype(np.float32) / 255


@pytest.mark.parametrize("sigma", [10, 20, 30])
def test_noise_is_measured_within_a_sixth(cat, sigma):
    noisy = degrade.noisy(cat, sigma, np.random.default_rng(sigma))
    assert measure(noisy).noise_sigma == pytest.approx(0.669 * sigma, rel=1 / 6)


def test_texture_is_no_noise():
    gravel = np.dstack(3 * [skimage.data.gravel()]).astype(np.float32) / 255
    assert measure(gravel).noise_sigma < 3


@pytest.mark.parametrize("sigma", [2.0, 3.0])
def test_the_blur_is_measured_at_the_sharpest_edges(cat, sigma):
    assert measure(degrade.softened(cat, sigma)).edge_sigma == pytest.approx(sigma, rel=0.25)


def test_one_sharp_subject_before_a_blurred_background_is_sharp(astronaut):
    portrait = degrade.softened(astronaut, 4)
    portrait[:260, 120:320] = astronaut[:260, 120:320]
    assert measure(portrait).edge_sigma < 1


def test_blocks_are_found_wherever_their_grid_begins(cat):
    pressed = degrade.compressed(cat, 12)
    for top, left in ((0, 0), (3, 5)):
        step, relative_step = measure(np.ascontiguousarray(pressed[top:, left:])).blockiness
        assert step > 1.4
        assert relative_step > 0.2
    assert measure(cat).blockiness[0] < 0.7


@pytest.mark.parametrize("angle", [0, 30, 77, 90, 135, 170])
def test_a_movement_is_found_at_any_angle(astronaut, angle):
    _, movement = echoes(luma(degrade.moved(astronaut, 18, angle)))
    assert movement.length + 1 == pytest.approx(18, abs=2)
    assert abs((movement.angle - angle + 90) % 180 - 90) < 4


@pytest.mark.parametrize("shift", [(9, 5), (-6, 8), (0, -12), (17, 1)])
def test_a_ghost_is_found_with_its_shift_and_weight(astronaut, shift):
    plane = luma(degrade.ghosted(astronaut, shift, 0.5))
    ghost, _ = echoes(plane)
    assert (ghost.x, ghost.y) in (shift, (-shift[0], -shift[1]))
    assert ghost_weight(plane, ghost) == pytest.approx(0.5, abs=0.12)


def test_the_weight_of_a_ghost_is_measured_in_a_compressed_photo(astronaut):
    plane = luma(degrade.compressed(degrade.ghosted(astronaut, (9, 5), 0.5), 85))
    ghost, _ = echoes(plane)
    assert ghost_weight(plane, ghost) == pytest.approx(0.5, abs=0.15)


def test_small_images_have_no_echoes_and_tiny_ones_no_evidence():
    assert echoes(np.zeros((100, 500), np.float32)) == (NO_ECHO, NO_ECHO)
    assert views_of(np.zeros((15, 999), np.float32)) == []


def test_views_are_bounded_and_begin_at_blocks():
    plane = np.arange(1000 * 1500, dtype=np.float32).reshape(1000, 1500)
    views = views_of(plane)
    assert 9 < len(views) <= 64
    assert all(view[0, 0] % 1500 % 8 == 0 for view in views)


@pytest.mark.parametrize("kernel", [streak(15.4, 33), ghost_kernel(-7, 4, 0.4), gaussian(2.2)])
def test_kernels_sum_to_one(kernel):
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert kernel.shape[0] % 2 == kernel.shape[1] % 2 == 1
