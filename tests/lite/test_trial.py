"""A trial on crops measures how visible it would be to remove noise and blocks."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image as Pictures

from storage.enums import Category, Degradation
from tasks.imaging import degrade
from tasks.imaging.visibility import VISIBLE
from tasks.lite.classifier import Lite
from tasks.lite.limits import MIN_SEVERITY
from tasks.lite.trial import MAX_CROPS, visible_removal

PAIRS = Path(__file__).parents[2] / "../shared/photos/research/noise_polyu"
NOISE, COMPRESSION = Degradation.NOISE, Degradation.COMPRESSION


@pytest.fixture(scope="module")
def photo():
    return skimage.data.chelsea()[:256, :384].astype(np.float32) / 255


def noisy(image, sigma, seed=1):
    return degrade.noisy(image, sigma, np.random.default_rng(seed))


def test_stronger_noise_is_more_visible(photo):
    found = [visible_removal(noisy(photo, sigma), NOISE) for sigma in (0.01, 2, 4, 8, 16)]
    assert found == sorted(found)
    assert found[0] < 0.5 * VISIBLE and found[3] > VISIBLE


def test_blocks_are_more_visible_the_lower_the_quality(photo):
    found = [
        visible_removal(degrade.compressed(photo, quality), COMPRESSION, quality)
        for quality in (90, 60, 20)
    ]
    assert found == sorted(found)
    assert found[0] < 0.5 * VISIBLE and found[2] > VISIBLE


def test_a_large_photo_is_tried_in_a_few_crops(photo, monkeypatch):
    tried = []

    def restored(crop, *_):
        tried.append(crop.shape[:2])
        return crop

    monkeypatch.setattr("tasks.lite.trial.removed", restored)
    assert visible_removal(np.tile(photo, (8, 10, 1)), NOISE) == 0
    assert len(tried) == MAX_CROPS
    assert set(tried) == {(384, 384)}


def test_crops_are_measured_apart_so_that_equal_ones_give_what_one_gives():
    part = noisy(skimage.data.astronaut()[:336, 100:268].astype(np.float32) / 255, 8)
    once, thrice = (visible_removal(np.tile(part, (1, times, 1)), NOISE) for times in (2, 4))
    assert thrice == pytest.approx(once, rel=1e-4)


def test_noise_in_a_part_of_a_large_photo_is_seen(photo):
    large = np.tile(photo, (6, 4, 1))
    large[: len(large) // 2] = noisy(large[: len(large) // 2], 10)
    assert visible_removal(large, NOISE) > VISIBLE


def test_a_pattern_that_the_guard_would_keep_is_no_noise(photo):
    rows, columns = np.indices(photo.shape[:2])
    screen = np.where((rows // 3 + columns // 3) % 2, 0.1, -0.1)[..., np.newaxis]
    image = (0.2 + 0.6 * photo + screen).astype(np.float32)
    assert visible_removal(image, NOISE) < VISIBLE


def test_the_quality_of_a_file_alone_is_no_reason_to_act(photo):
    smooth = cv2.GaussianBlur(photo, (0, 0), 4)
    verdict = Lite()(smooth, jpeg_quality=75)
    assert verdict.severities[COMPRESSION] < MIN_SEVERITY[COMPRESSION]
    blocks = Lite()(degrade.compressed(photo, 20), jpeg_quality=20)
    assert blocks.severities[COMPRESSION] >= MIN_SEVERITY[COMPRESSION]


@pytest.mark.skipif(not PAIRS.is_dir(), reason="needs the real pairs in ../shared")
@pytest.mark.parametrize(
    "name", ["160_6400_desk_7", "160_6400_reciever_4", "160_6400_bicycle_6", "200_3200_fruit_12"]
)
def test_the_noise_of_a_real_camera_is_found_and_its_truth_is_left(name):
    for kind, is_noisy in (("real", True), ("mean", False)):
        with Pictures.open(PAIRS / f"Canon5D2_5_{name}_{kind}.JPG") as picture:
            image = np.asarray(picture.convert("RGB"), np.float32) / 255
        verdict = Lite()(image)
        acted = verdict.confident and verdict.category is Category.SUPER_RESOLUTION
        assert acted == is_noisy
