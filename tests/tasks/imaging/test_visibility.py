"""The measure of a change that a person sees."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image
from skimage.color import deltaE_ciede2000

from tasks.imaging import degrade
from tasks.imaging.visibility import VISIBLE, ciede2000, visible_change

PHOTO = skimage.data.astronaut().astype(np.float32) / 255
NOISE_POLYU = Path(__file__).parents[3] / "../shared/photos/research/noise_polyu"
PUBLISHED = np.array(
    [  # table 1 of Sharma, Wu and Dalal (2005): L*, a*, b* of both colours, their difference
        (50, 2.6772, -79.7751, 50, 0, -82.7485, 2.0425),
        (50, -1.1848, -84.8006, 50, 0, -82.7485, 1.0),
        (50, 0, 0, 50, -1, 2, 2.3669),
        (50, 2.49, -0.001, 50, -2.49, 0.0009, 7.1792),
        (50, 2.49, -0.001, 50, -2.49, 0.0011, 7.2195),
        (50, -0.001, 2.49, 50, 0.0009, -2.49, 4.8045),
        (50, -0.001, 2.49, 50, 0.0011, -2.49, 4.7461),
        (50, 2.5, 0, 50, 0, -2.5, 4.3065),
        (50, 2.5, 0, 73, 25, -18, 27.1492),
        (50, 2.5, 0, 56, -27, -3, 31.9030),
        (60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644),
        (61.2901, 3.7196, -5.3901, 61.4292, 2.2480, -4.9620, 1.8731),
        (22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373),
        (90.9257, -0.5406, -0.9208, 88.6381, -0.8985, -0.7239, 1.5381),
        (2.0776, 0.0795, -1.1350, 0.9033, -0.0636, -0.5514, 0.9082),
    ]
)


def test_the_formula_gives_the_published_differences():
    found = ciede2000(PUBLISHED[:, :3], PUBLISHED[:, 3:6])
    assert found == pytest.approx(PUBLISHED[:, 6], abs=5e-5)
    assert ciede2000(PUBLISHED[:, 3:6], PUBLISHED[:, :3]) == pytest.approx(found)


def test_the_formula_gives_what_another_library_gives_for_all_colours():
    rng = np.random.default_rng(0)
    colours = rng.uniform([0, -100, -100], [100, 100, 100], (2, 40_000, 3)).astype(np.float32)
    assert ciede2000(*colours) == pytest.approx(deltaE_ciede2000(*colours), abs=1e-3)


def test_equal_images_of_any_size_do_not_differ():
    for height, width in ((1, 1), (20, 50), (33, 31), (300, 257), (512, 512)):
        assert visible_change(PHOTO[:height, :width], PHOTO[:height, :width].copy()) == 0


def test_a_change_of_a_small_part_counts_and_where_it_is_does_not():
    rows, columns = PHOTO.shape[:2]
    changes = []
    for top, left in ((0, 0), (250, 130), (rows - 160, columns - 160)):
        changed = np.full_like(PHOTO, 0.5)
        changed[top : top + 160, left : left + 160] += 0.04
        changes.append(visible_change(np.full_like(PHOTO, 0.5), changed))
    assert min(changes) > 2 * VISIBLE
    assert max(changes) - min(changes) < 0.5


def test_fine_grain_is_seen_less_than_coarse_grain_of_the_same_strength():
    rng = np.random.default_rng(0)
    grain = rng.normal(0, 4 / 255, PHOTO.shape).astype(np.float32)
    coarse = cv2.GaussianBlur(grain, (0, 0), 2)
    coarse *= grain.std() / coarse.std()
    assert visible_change(PHOTO, PHOTO + coarse) > 1.5 * visible_change(PHOTO, PHOTO + grain)


def test_what_is_done_to_a_photo_is_seen_from_some_strength_on():
    rng = np.random.default_rng(0)
    assert visible_change(PHOTO, degrade.noisy(PHOTO, 1, rng)) < VISIBLE
    assert visible_change(PHOTO, degrade.noisy(PHOTO, 10, rng)) > VISIBLE
    assert visible_change(PHOTO, degrade.softened(PHOTO, 0.4)) < VISIBLE
    assert visible_change(PHOTO, degrade.softened(PHOTO, 2)) > VISIBLE


@pytest.mark.skipif(not NOISE_POLYU.is_dir(), reason="the real photos are not here")
def test_real_noise_of_a_standard_deviation_of_4_is_seen_even_if_half_of_it_goes():
    for name in ("Canon5D2_5_160_6400_desk_7", "Canon600D_4-5_125_1600_toy_16"):
        real, mean = (
            np.asarray(Image.open(NOISE_POLYU / f"{name}_{kind}.JPG"), np.float32) / 255
            for kind in ("real", "mean")
        )
        assert visible_change(real, (real + mean) / 2) > VISIBLE
