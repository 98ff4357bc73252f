"""The lite classifier's verdicts on good photos, degraded photos and artificial images."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image as Pictures

from storage.enums import Category, Decision, Degradation
from tasks.imaging import degrade
from tasks.lite.classifier import Lite, logits
from tasks.lite.engine import lite_chain
from tasks.lite.limits import MIN_SEVERITY
from tasks.mend import Engine, mend

pytestmark = pytest.mark.slow

CLEAR = Path(__file__).parents[2] / "../shared/photos/clear"
CATEGORIES = {
    Degradation.NOISE: Category.SUPER_RESOLUTION,
    Degradation.COMPRESSION: Category.SUPER_RESOLUTION,
    Degradation.SOFTNESS: Category.SUPER_RESOLUTION,
    Degradation.MOTION: Category.MOTION_BLUR,
    Degradation.REFLECTION: Category.REFLECTION,
}
PHOTOS = (
    skimage.data.astronaut,
    skimage.data.chelsea,
    skimage.data.coffee,
    skimage.data.rocket,
)
classify = Lite()
ENGINE = Engine(lambda: classify, lite_chain)


def _photos():
    return [photo().astype(np.float32) / 255 for photo in PHOTOS]


@pytest.mark.parametrize("kind", [kind for kind in Degradation if kind != "compression"])
def test_a_degraded_photo_is_recognised_by_its_pixels(kind):
    for seed, photo in enumerate(_photos()):
        verdict = classify(degrade.degrade(photo, kind, seed))
        assert (verdict.category, verdict.confident) == (CATEGORIES[kind], True)
        assert max(verdict.severities, key=verdict.severities.__getitem__) is kind


def test_compression_is_recognised_by_the_quality_of_the_file():
    for seed, photo in enumerate(_photos()):
        degraded = degrade.degrade(photo, Degradation.COMPRESSION, seed)
        verdict = classify(degraded, jpeg_quality=15)
        assert (verdict.category, verdict.confident) == (Category.SUPER_RESOLUTION, True)


def test_compression_is_recognised_by_the_pixels():
    severities = [
        classify(degrade.compressed(photo, 15)).severities["compression"] for photo in _photos()
    ]
    assert sum(severity >= 0.6 for severity in severities) >= 3


def test_a_photo_is_recognised_through_a_good_jpeg_file():
    sure = []
    for seed, photo in enumerate(_photos()):
        for kind in (Degradation.SOFTNESS, Degradation.MOTION, Degradation.REFLECTION):
            saved = degrade.compressed(degrade.degrade(photo, kind, seed), 92)
            verdict = classify(saved, jpeg_quality=92)
            if kind is Degradation.SOFTNESS and PHOTOS[seed] is skimage.data.rocket:
                # Nobody would see its few edges sharpened.
                assert not verdict.confident or verdict.category is Category.CLEAN
                continue
            assert verdict.category is CATEGORIES[kind]
            sure.append(verdict.confident or verdict.surely_moved)
    assert sum(sure) >= len(sure) - 1


def touched(group, every=1):
    """Return the names of a shared group's photos that are mended, and the group's size."""
    files = sorted(path for path in (CLEAR / group).rglob("*") if path.is_file())[::every]
    if not files:
        pytest.skip("the shared photographs are not beside this checkout")
    found = []
    for path in files:
        with Pictures.open(path) as picture:
            mended = mend(np.asarray(picture.convert("RGB"), np.float32) / 255, ENGINE)
        if mended.decision is Decision.RESTORED:
            found.append(path.name)
    print(f"{len(found)} of {len(files)} {group} would be touched: {found}")
    return found, len(files)


def test_good_photos_are_left_alone():
    found = [touched(group, every) for group, every in (("kodak", 1), ("food_pd", 2))]
    assert sum(len(names) for names, _ in found) <= 0.02 * sum(number for _, number in found)


def test_few_unlabelled_photos_are_touched():
    """The shop's photos were taken by a phone, and a third of them are soft."""
    for group, every, most in (("grocery", 4, 0.4), ("text", 2, 0.12)):
        names, number = touched(group, every)
        assert len(names) <= most * number


def test_a_large_photo_is_classified_at_native_resolution():
    photo = cv2.resize(skimage.data.astronaut(), (4000, 3000), interpolation=cv2.INTER_CUBIC)
    verdict = classify(photo.astype(np.float32) / 255)
    # Enlarged eightfold: the blur could be of a lens or of a movement.
    assert verdict.category in (Category.SUPER_RESOLUTION, Category.MOTION_BLUR)
    assert verdict.severities[Degradation.SOFTNESS] > 0.6


CHEQUERED = np.indices((128, 128)).sum(0) % 2
HOSTILE = {
    "black": np.zeros((200, 300, 3)),
    "white": np.ones((200, 300, 3)),
    "grey": np.full((64, 64, 3), 0.5),
    "tiny": np.random.default_rng(0).random((16, 16, 3)),
    "one row": np.random.default_rng(0).random((1, 500, 3)),
    "one column": np.random.default_rng(0).random((500, 1, 3)),
    "one pixel": np.full((1, 1, 3), 0.3),
    "ribbon": np.random.default_rng(0).random((20, 5000, 3)),
    "chequered": np.dstack(3 * [CHEQUERED]),
    "stripes": np.dstack(3 * [np.indices((300, 300))[1] // 8 % 2]),
    "pure noise": np.random.default_rng(1).random((300, 300, 3)),
    "slope": np.dstack(3 * [np.linspace(0, 1, 90000).reshape(300, 300)]),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_any_image_gets_a_verdict(name):
    verdict = classify(HOSTILE[name].astype(np.float32))
    assert sum(verdict.scores.values()) == pytest.approx(1)
    assert set(verdict.scores) == set(Category)
    assert set(verdict.severities) == set(Degradation)
    assert all(0 <= severity <= 1 for severity in verdict.severities.values())


@pytest.mark.parametrize("name", ["tiny", "one row", "one column", "one pixel", "ribbon"])
def test_an_image_too_small_to_be_measured_is_never_acted_on(name):
    assert not classify(HOSTILE[name].astype(np.float32)).confident


@pytest.mark.parametrize("name", ["black", "white", "grey", "chequered", "stripes", "slope"])
def test_an_artificial_image_is_not_taken_for_a_degraded_photo(name):
    verdict = classify(HOSTILE[name].astype(np.float32))
    assert not (verdict.confident and verdict.category is not Category.CLEAN)


def test_film_grain_is_not_taken_for_noise():
    for photo in _photos()[:2]:
        rng = np.random.default_rng(1)
        assert (
            classify(degrade.noisy(photo, 16, rng)).severities[Degradation.NOISE]
            >= MIN_SEVERITY[Degradation.NOISE]
        )
        assert (
            classify(degrade.noisy(photo, 2, rng)).severities[Degradation.NOISE]
            < MIN_SEVERITY[Degradation.NOISE]
        )


def test_correlated_noise_is_recognised():
    photo = _photos()[0]
    grain = cv2.GaussianBlur(np.random.default_rng(2).standard_normal(photo.shape), (0, 0), 0.8)
    degraded = np.clip(photo + 15 / 255 * grain / grain.std(), 0, 1).astype(np.float32)
    assert classify(degraded).severities[Degradation.NOISE] >= MIN_SEVERITY[Degradation.NOISE]


def test_logits_do_not_depend_on_the_borders():
    degraded = degrade.noisy(np.tile(_photos()[0], (2, 2, 1)), 12, np.random.default_rng(3))
    whole, part = logits(degraded), logits(degraded[: 512 + 64, : 512 + 64])
    for kind in Degradation:
        assert whole[kind] == pytest.approx(part[kind], abs=0.7)


def test_an_unsure_verdict_names_the_figure_that_was_missing():
    unsure = 0
    for photo in _photos():
        for kind in (Degradation.SOFTNESS, Degradation.MOTION, Degradation.NOISE):
            weak = photo + np.float32(0.4) * (degrade.degrade(photo, kind, seed=1) - photo)
            found = classify(weak)
            assert bool(found.doubt) == (not found.confident)
            if not found.confident:
                unsure += 1
                assert re.fullmatch(
                    r"perhaps [a-z ]+( \([\d.]+, [\d.]+ needed\)|, but something else may .*)",
                    found.doubt,
                ), found.doubt
    small = classify(np.full((20, 90, 3), 0.5, np.float32))
    assert small.doubt == "too small to be judged (20 pixels, 64 needed)"
    assert unsure
