"""The guard keeps what is better, fades what is worse, and names the figure that refused a result."""

import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image as Picture

from storage.enums import Category
from tasks.guard import judge
from tasks.guarding.regions import faded, kept_blocks
from tasks.imaging import degrade
from tasks.imaging.deconvolution import deconvolve
from tasks.imaging.kernels import ghost_kernel, streak
from tasks.imaging.light import coded, linear, luma
from tasks.imaging.tiles import with_low_frequencies_of

SHARED = Path(__file__).parents[2] / "../shared"
CLEANING, MOVEMENT, REFLECTION = (
    Category.SUPER_RESOLUTION, Category.MOTION_BLUR, Category.REFLECTION,
)  # fmt: skip


@pytest.fixture(scope="module")
def truth():
    return skimage.data.chelsea().astype(np.float32) / 255


@pytest.fixture(scope="module")
def noisy(truth):
    return degrade.noisy(truth, 20, np.random.default_rng(0))


@pytest.fixture(scope="module")
def scene():
    """A photo with flat places, edges and texture."""
    return skimage.data.coffee()[:, :512].astype(np.float32) / 255


def test_the_clean_image_of_a_noisy_photo_is_kept(noisy, truth):
    judgement = judge(noisy, truth, CLEANING)
    assert (judgement.kept, judgement.failed) == (True, None), judgement.reason
    assert judgement.image is truth
    assert judgement.figures["kept_share"] == judgement.figures["change_left"] == 1
    assert judgement.figures["mean_shift"] < 2


def test_an_unchanged_photo_is_refused(noisy):
    judgement = judge(noisy, noisy.copy(), CLEANING)
    assert (judgement.kept, judgement.reason) == (False, "nothing changed")
    assert judgement.image is noisy


def test_a_shifted_colour_is_refused_by_its_figure(noisy, truth):
    judgement = judge(noisy, np.clip(truth + np.float32([4 / 255, 0, 0]), 0, 1), CLEANING)
    assert judgement.failed == "mean_shift"
    assert "the shift of the mean colour is 3." in judgement.reason
    assert judgement.reason.endswith("/255, at most 2 allowed")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_that_are_no_numbers_are_refused(noisy, truth, value):
    broken = truth.copy()
    broken[5, 5, 1] = value
    judgement = judge(noisy, broken, CLEANING)
    assert judgement.reason == "the result has pixels that are not finite numbers"
    assert judgement.failed == "pixels"


def test_pixels_out_of_range_are_refused(noisy, truth):
    assert "outside 0 to 1" in judge(noisy, truth * 2, CLEANING).reason


def test_another_size_is_refused_unless_it_was_requested(noisy, truth):
    larger = np.repeat(np.repeat(truth, 2, axis=0), 2, axis=1)
    refused = judge(noisy, larger, CLEANING)
    assert refused.reason == "the result is 902x600 pixels instead of 451x300"
    assert judge(noisy, larger, CLEANING, scale=2).kept


@pytest.mark.parametrize("grain", [7, 13, 20])
@pytest.mark.parametrize("name", ["chelsea", "coffee", "rocket"])
def test_texture_that_is_lost_with_the_noise_is_not_kept(name, grain):
    sharp = getattr(skimage.data, name)()[:300, :400].astype(np.float32) / 255
    before = degrade.noisy(sharp, grain, np.random.default_rng(1))
    assert judge(before, sharp, CLEANING).figures["kept_share"] == 1
    smeared = judge(before, cv2.GaussianBlur(sharp, (0, 0), 3), CLEANING)
    assert not smeared.kept or smeared.figures["kept_share"] < 0.9
    assert smeared.figures["texture_lost"] > 0.3


def test_noise_that_is_subtracted_twice_or_added_is_refused(scene):
    before = degrade.noisy(scene, 12, np.random.default_rng(0))
    for times in (2, -1):
        wrong = np.clip(before + times * (scene - before), 0, 1)
        assert judge(before, wrong, CLEANING).failed == "ringing"


def test_stripes_in_flat_places_are_refused(scene):
    before = degrade.noisy(scene, 6, np.random.default_rng(0))
    wave = np.sin(np.add.outer(*map(np.arange, scene.shape[:2])) * 0.8)[..., None] * 8 / 255
    assert judge(before, scene, CLEANING).figures["ringing"] < 1
    judgement = judge(before, np.clip(scene + wave, 0, 1).astype(np.float32), CLEANING)
    assert judgement.failed == "ringing"
    assert "the ringing in flat places is " in judgement.reason


def test_halos_are_faded(scene):
    soft = degrade.softened(scene, 0.8)
    halos = soft + 3 * (soft - cv2.GaussianBlur(soft, (0, 0), 4))
    right, wrong = (
        judge(soft, with_low_frequencies_of(soft, each, 16), CLEANING) for each in (scene, halos)
    )
    assert wrong.figures["overshoot"] > 14 > right.figures["overshoot"]
    assert right.figures["kept_share"] > wrong.figures["kept_share"] + 0.2


def test_a_movement_is_undone_with_the_right_kernel_only(truth):
    moved = degrade.moved(truth, 14, 30)
    found = {}
    for name, kernel in (("right", streak(14, 30)), ("wrong", streak(14, 100))):
        sharp = with_low_frequencies_of(moved, deconvolve(moved, kernel, 15), 48)
        found[name] = judge(moved, sharp, MOVEMENT)
    assert found["right"].kept, found["right"].reason
    assert found["right"].figures["repaired"] > 0.5
    assert found["wrong"].failed in ("repaired", "unexplained")


def test_what_no_kernel_explains_is_refused(scene):
    moved = degrade.moved(scene, 10, 30)
    mirrored = scene[:, ::-1] + moved.mean((0, 1)) - scene.mean((0, 1))
    low = with_low_frequencies_of(moved, np.ascontiguousarray(mirrored), 16)
    assert judge(moved, low, MOVEMENT).failed == "unexplained"


def test_a_ghost_is_removed_on_its_side_only(scene):
    ghosted = degrade.ghosted(scene, (9, 5), 0.5)
    for kernel, kept in ((ghost_kernel(9, 5, 0.5), True), (ghost_kernel(-9, -5, 0.5), False)):
        removed = with_low_frequencies_of(ghosted, deconvolve(ghosted, kernel, 12), 48)
        judgement = judge(ghosted, removed, REFLECTION)
        assert judgement.kept == kept, judgement.figures
    assert judgement.failed == "busier"


def test_smooth_light_may_be_subtracted_from_shadows():
    dark = 0.6 * linear(skimage.data.astronaut().astype(np.float32) / 255)
    light = np.linspace(0.06, 0.2, dark.shape[1], dtype=np.float32)[None, :, None]
    judgement = judge(coded(dark + light), coded(dark), REFLECTION)
    assert judgement.kept, judgement.reason  # detail of shadows is raised by the curve alone
    assert judgement.figures["busier"] == pytest.approx(1, abs=0.005)


def test_a_cast_in_the_shadows_is_not_kept():
    before = skimage.data.rocket().astype(np.float32) / 255
    clean = np.clip(before * np.float32(0.98), 0, 1)
    dark = (before.max(2, keepdims=True) < 0.2) * np.float32([10, -3, -3]) / 255
    cast = judge(before, np.clip(clean + dark, 0, 1), MOVEMENT)
    assert cast.figures["dark_shift"] > 4 > judge(before, clean, MOVEMENT).figures["dark_shift"]
    assert not cast.kept or cast.figures["kept_share"] < 0.9


def test_tiles_with_seams_are_refused():
    sky = skimage.data.rocket().astype(np.float32) / 255
    before = degrade.noisy(sky, 5, np.random.default_rng(0))
    seams = np.where(np.arange(sky.shape[1]) < 256, 2.5, -2.5)[None, :, None] / 255
    assert judge(before, sky, CLEANING).figures["seam"] < 0.5
    judgement = judge(before, np.clip(sky + seams, 0, 1).astype(np.float32), CLEANING)
    assert judgement.failed == "seam"


def test_text_whose_strokes_change_is_not_kept():
    page = np.full((256, 512, 3), 0.85, np.float32)
    for line, words in enumerate(("Invoice 4711", "Total 12.50")):
        cv2.putText(page, words, (20, 90 + 90 * line), 0, 1.6, (0.2, 0.2, 0.2), 3)
    text = np.zeros(page.shape[:2], np.float32)
    text[45:105, 10:400] = text[135:195, 10:400] = 1
    before = degrade.noisy(page, 8, np.random.default_rng(0))
    other = page.copy()
    other[45:105] = 0.85
    cv2.putText(other, "lmroioe A7ll", (20, 90), 0, 1.6, (0.2, 0.2, 0.2), 3)
    assert judge(before, page, CLEANING, text=text).figures["kept_share"] == 1
    judgement = judge(before, other, CLEANING, text=text)
    assert judgement.figures["strokes_changed"] > 0.3
    assert not judgement.kept or np.array_equal(judgement.image[70:80], before[70:80])


def test_a_bad_corner_is_faded_without_a_seam(noisy, truth):
    painted = truth.copy()
    painted[:70, :70] = painted[:70, :70].mean()
    judgement = judge(noisy, painted, CLEANING)
    assert judgement.kept
    assert 0.5 < judgement.figures["kept_share"] < 1
    assert "of the photo left as it was" in judgement.reason
    assert np.allclose(judgement.image[:60, :60], noisy[:60, :60], atol=1e-6)
    assert np.array_equal(judgement.image[-100:, -100:], truth[-100:, -100:])


@pytest.mark.parametrize("shape", [(320, 480), (333, 517)])
def test_a_faded_change_has_no_seams(shape):
    before = np.full((*shape, 3), 0.4, np.float32)
    failed = np.zeros((-(-shape[0] // 32), -(-shape[1] // 32)), np.float32)
    failed[3:5, 4:7] = 1
    image = faded(before, before + np.float32(20 / 255), kept_blocks(failed))
    steps = [255 * np.abs(np.diff(image, axis=axis)).max() for axis in (0, 1)]
    assert 0.05 < max(steps) < 0.6
    assert image[112:144, 144:208] == pytest.approx(0.4)
    assert image[96:160, 128:224].max() < 0.4 + 0.25 * 20 / 255
    assert image[-32:, -32:] == pytest.approx(0.4 + 20 / 255, abs=1e-6)


def test_an_enlarged_result_is_faded_in_strips_that_do_not_show():
    random = np.random.default_rng(0)
    before = random.random((2000, 60, 3), np.float32)
    after = random.random((8000, 240, 3), np.float32)
    kept = np.ones((63, 2), np.float32)
    kept[10:50] = 0
    tracemalloc.start()
    image = faded(before, after, kept)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    whole = cv2.resize(before, (240, 8000), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    assert np.allclose(image[1400:6200], whole[1400:6200], atol=1e-6)
    assert np.array_equal(image[:1000], after[:1000])
    assert peak < 1.7 * after.nbytes


def test_an_enlarged_result_is_judged_and_faded_at_its_size(noisy, truth):
    def enlarged(image):
        size = (4 * image.shape[1], 4 * image.shape[0])
        return cv2.resize(image, size, interpolation=cv2.INTER_CUBIC).clip(0, 1)

    assert judge(noisy, enlarged(truth), CLEANING, scale=4).kept
    painted = truth.copy()
    painted[:70, :70] = painted[:70, :70].mean()
    judgement = judge(noisy, enlarged(painted), CLEANING, scale=4)
    assert judgement.image.shape == (1200, 1804, 3)
    assert np.allclose(judgement.image[:200, :200], enlarged(noisy)[:200, :200], atol=1e-5)


def test_a_generative_result_may_add_detail_but_lose_none(scene):
    soft = degrade.softened(scene, 1.5)
    grain = np.random.default_rng(0).normal(0, 0.04, scene.shape).astype(np.float32)
    added = with_low_frequencies_of(soft, scene + cv2.GaussianBlur(grain, (0, 0), 1), 16)
    assert judge(soft, added, CLEANING).failed == "ringing"
    assert judge(soft, added, CLEANING, generative=True).kept
    smeared = with_low_frequencies_of(soft, cv2.GaussianBlur(soft, (0, 0), 3), 16)
    smeared = judge(soft, smeared, CLEANING, generative=True)
    assert smeared.failed in ("texture_lost", "texture_unlike")


@pytest.mark.parametrize("category", [CLEANING, MOVEMENT, REFLECTION])
@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 200, 3), (16, 16, 3), (130, 700, 3)])
def test_small_images_are_judged_too(shape, category):
    image = np.random.default_rng(0).random(shape, np.float32)
    changed = np.clip(image + 0.01, 0, 1)
    assert judge(image, changed, category).image.shape == shape


@pytest.mark.parametrize(("scene", "other"), [("rocket", "chelsea"), ("coffee", "rocket")])
def test_a_hidden_reflection_may_appear_but_none_may_be_added(scene, other):
    behind, before = (getattr(skimage.data, name)()[:300, :400] / 255 for name in (scene, other))
    blurred = linear(cv2.GaussianBlur(before.astype(np.float32), (0, 0), 3))
    veiled = coded(linear(behind.astype(np.float32)) + 0.2 * blurred)
    noisy = degrade.noisy(veiled, 20, np.random.default_rng(0))
    judgement = judge(noisy, veiled, CLEANING)
    assert judgement.kept, judgement.reason
    alone = degrade.noisy(behind.astype(np.float32), 20, np.random.default_rng(0))
    assert judge(alone, veiled, CLEANING).failed == "mean_shift"


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
    number = 0
    for blended, truth in pairs_with_a_reflection():
        number += 1
        kept = judge(blended, truth, REFLECTION)
        assert kept.kept, kept.reason
        assert judge(truth, blended, REFLECTION).failed == "mean_shift"
        assert judge(blended, 0.4 * blended, REFLECTION).failed == "light_left"
        blurred = cv2.GaussianBlur(truth, (0, 0), 6)
        assert judge(blended, blurred, REFLECTION).failed == "edges_alike"
    assert number >= 8


def test_small_objects_keep_their_colour(truth):
    rng, dotted = np.random.default_rng(5), truth * np.float32(0.3)
    dotted += np.float32([0.5, 0.2, 0.2])
    for x, y in rng.integers(8, 248, (120, 2)):
        cv2.circle(dotted, (int(x), int(y)), 4, (0.2, 0.5, 0.2), -1)
    hues = dotted - luma(dotted)[..., None]
    paler = np.clip(dotted - hues + cv2.GaussianBlur(hues, (0, 0), 6), 0, 1)
    judgement = judge(dotted, paler, CLEANING)
    assert (judgement.kept, judgement.failed) == (False, "colour_lost")
