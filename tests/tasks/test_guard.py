"""The guard keeps better results, and names the figure that refused another."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image as Picture

from storage.enums import Category, Degradation
from tasks.guard import judge
from tasks.imaging import degrade
from tasks.imaging.light import coded, linear
from tasks.lite.classifier import Lite
from tasks.verdict import Verdict

SHARED = Path(__file__).parents[2] / "../shared"
classify = Lite()


@pytest.fixture(scope="module")
def truth():
    return skimage.data.chelsea().astype(np.float32) / 255


@pytest.fixture(scope="module")
def noisy(truth):
    return degrade.noisy(truth, 20, np.random.default_rng(0))


@pytest.fixture(scope="module")
def verdict(noisy):
    return classify(noisy)


def test_the_clean_image_of_a_noisy_photo_is_kept(noisy, truth, verdict):
    judgement = judge(noisy, truth, verdict, classify)
    assert judgement.kept
    assert judgement.figures["noise_after"] < judgement.figures["noise_before"]
    assert judgement.figures["mean_shift"] < 2


def test_an_unchanged_photo_is_refused(noisy, verdict):
    judgement = judge(noisy, noisy.copy(), verdict, classify)
    assert not judgement.kept
    assert judgement.reason.startswith("noise went from ")


def test_a_shifted_colour_is_refused_by_its_figure(noisy, truth, verdict):
    redder = np.clip(truth + np.float32([4 / 255, 0, 0]), 0, 1)
    judgement = judge(noisy, redder, verdict, classify)
    assert "the mean colour moved by 3." in judgement.reason
    assert judgement.reason.endswith("/255, at most 2.0 allowed")
    assert judgement.failed == "mean_shift"


def test_one_changed_corner_is_refused(noisy, truth, verdict):
    painted = truth.copy()
    painted[:70, :70] = painted[:70, :70].mean() - 0.15
    painted[-70:, -70:] += truth[:70, :70].mean() - painted[:70, :70].mean()
    judgement = judge(noisy, np.clip(painted, 0, 1), verdict, classify)
    assert "a part of the photo moved by" in judgement.reason
    assert judgement.failed == "block_shift"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_that_are_no_numbers_are_refused(noisy, truth, verdict, value):
    broken = truth.copy()
    broken[5, 5, 1] = value
    judgement = judge(noisy, broken, verdict, classify)
    assert judgement.reason == "the result has pixels that are not finite numbers"
    assert judgement.failed == "pixels"


def test_pixels_out_of_range_are_refused(noisy, truth, verdict):
    assert "outside 0 to 1" in judge(noisy, truth * 2, verdict, classify).reason


def test_another_size_is_refused_unless_it_was_requested(noisy, truth, verdict):
    larger = np.repeat(np.repeat(truth, 2, axis=0), 2, axis=1)
    refused = judge(noisy, larger, verdict, classify)
    assert refused.reason == "the result is 902x600 pixels instead of 451x300"
    assert "pixels instead of" not in judge(noisy, larger, verdict, classify, scale=2).reason


def test_smoothing_until_the_photo_is_soft_is_refused(noisy, truth, verdict):
    smeared = degrade.softened(truth, 3)
    judgement = judge(noisy, smeared, verdict, classify)
    assert "softness went from" in judgement.reason


@pytest.mark.parametrize(("scene", "sigma"), [("chelsea", 1.2), ("rocket", 1.8)])
def test_softness_that_noise_had_hidden_may_appear(scene, sigma):
    sharp = getattr(skimage.data, scene)()[:300, :400].astype(np.float32) / 255
    soft = degrade.softened(sharp, sigma)
    noisy = degrade.noisy(soft, 12, np.random.default_rng(0))
    judgement = judge(noisy, soft, classify(noisy), classify)
    assert judgement.kept
    assert judgement.figures["softness_after"] > judgement.figures["softness_before"] + 0.25


@pytest.mark.parametrize("grain", [13, 20, 28])
@pytest.mark.parametrize("scene", ["chelsea", "astronaut"])
def test_smoothing_a_sharp_photo_with_its_noise_is_refused(scene, grain):
    sharp = getattr(skimage.data, scene)()[:300, :400].astype(np.float32) / 255
    noisy = degrade.noisy(sharp, grain, np.random.default_rng(1))
    refused = judge(noisy, cv2.GaussianBlur(sharp, (0, 0), 1.5), classify(noisy), classify)
    assert refused.reason.startswith("softness went from ")


@pytest.mark.parametrize(("scene", "other"), [("rocket", "chelsea"), ("coffee", "rocket")])
def test_a_hidden_reflection_may_appear_but_none_may_be_added(scene, other):
    behind, before = (getattr(skimage.data, name)()[:300, :400] / 255 for name in (scene, other))
    blurred = linear(cv2.GaussianBlur(before.astype(np.float32), (0, 0), 3))
    veiled = coded(linear(behind.astype(np.float32)) + 0.2 * blurred)
    noisy = degrade.noisy(veiled, 20, np.random.default_rng(0))
    judgement = judge(noisy, veiled, classify(noisy), classify)
    assert judgement.kept
    assert judgement.figures["reflection_after"] > judgement.figures["reflection_before"] + 0.25
    alone = degrade.noisy(behind.astype(np.float32), 20, np.random.default_rng(0))
    added = judge(alone, veiled, classify(alone), classify)
    assert added.reason.startswith("the mean colour moved by ")


def test_a_movement_that_remains_is_refused(truth):
    moved = degrade.moved(truth, 18, 40)
    verdict = classify(moved)
    assert verdict.category is Category.MOTION_BLUR
    assert "motion went from" in judge(moved, moved.copy(), verdict, classify).reason


def test_a_clean_photo_needs_no_restoration(truth):
    nothing = dict.fromkeys(Degradation, 0.0)
    scores = {category: float(category is Category.CLEAN) for category in Category}
    judgement = judge(truth, truth, Verdict(scores, nothing, True), classify)
    assert not judgement.kept


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 200, 3), (16, 16, 3)])
def test_small_images_are_judged_too(shape, verdict):
    image = np.random.default_rng(0).random(shape, np.float32)
    assert not judge(image, image, verdict, classify).kept


def test_an_enlarged_result_is_judged_at_its_old_size(noisy, truth, verdict):
    height, width = truth.shape[:2]
    large = cv2.resize(truth, (4 * width, 4 * height), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    assert judge(noisy, large, verdict, classify, 4).kept
    still_noisy = cv2.resize(noisy, (4 * width, 4 * height), interpolation=cv2.INTER_NEAREST)
    assert not judge(noisy, still_noisy, verdict, classify, 4).kept
    assert "pixels instead of" in judge(noisy, large, verdict, classify, 2).reason


def pairs_with_a_reflection():
    folder = SHARED / "photos/research"
    found = [*folder.glob("refl_real20/*/blended/*"), *folder.glob("refl_location/**/blend/*")]
    if not found:
        pytest.skip("the shared photos are not beside this checkout")
    truths = {"blended": "transmission_layer", "blend": "transmission"}
    for blended in sorted(found):
        name = f"{blended.stem}.*"
        truth = next((blended.parents[1] / truths[blended.parent.name]).glob(name), None)
        if truth is not None:
            yield tuple(
                np.asarray(Picture.open(path).convert("RGB"), np.float32) / 255
                for path in (blended, truth)
            )


def test_a_reflection_may_be_removed_and_nothing_else():
    verdict = Verdict(
        {each: float(each is Category.REFLECTION) for each in Category},
        dict.fromkeys(Degradation, 0.7), True,
    )  # fmt: skip

    def same_verdict(_image):
        return verdict

    number = 0
    for blended, truth in pairs_with_a_reflection():
        number += 1
        kept = judge(blended, truth, verdict, same_verdict)
        assert kept.kept, kept.reason
        assert "the mean colour moved" in judge(truth, blended, verdict, same_verdict).reason
        assert "of the light is left" in judge(blended, 0.4 * blended, verdict, same_verdict).reason
        blurred = cv2.GaussianBlur(truth, (0, 0), 6)
        assert "edges correlate" in judge(blended, blurred, verdict, same_verdict).reason
    assert number >= 8
