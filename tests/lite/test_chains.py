"""The lite chains bring degraded photos closer to the truth, and the guard keeps the results."""

from dataclasses import replace

import numpy as np
import pytest
import skimage.data

from storage.enums import Category, Degradation
from tasks.chains.super_resolution import SuperResolution
from tasks.evaluation.metrics import psnr
from tasks.guard import judge
from tasks.imaging import degrade
from tasks.imaging.tiles import TILE_PIXELS, by_tiles, with_low_frequencies_of
from tasks.lite.classifier import Lite
from tasks.lite.cleaning import clean
from tasks.lite.engine import lite_chain
from tasks.lite.ghosts import remove_ghost
from tasks.receipt import Receipt
from tasks.verdict import Verdict

pytestmark = pytest.mark.slow

classify = Lite()
PHOTOS = (skimage.data.astronaut, skimage.data.chelsea, skimage.data.coffee)
GAIN_DB = {
    Degradation.NOISE: 4.0,
    Degradation.COMPRESSION: 0.3,
    Degradation.SOFTNESS: 0.8,
    Degradation.MOTION: 2.0,
    Degradation.REFLECTION: 6.0,
}
"""The smallest gains on these photos and on Kodak's, with a margin."""


def verdict_of(category, **severities):
    every = {kind: severities.get(kind.value, 0.0) for kind in Degradation}
    return Verdict({each: float(each is category) for each in Category}, every, True)


def as_saved(image):
    return (np.rint(image * 255) / 255).astype(np.float32)


@pytest.mark.parametrize("kind", list(Degradation))
def test_a_degraded_photo_is_mended_and_kept(kind):
    for seed, photo in enumerate(PHOTOS):
        truth = photo().astype(np.float32) / 255
        degraded = as_saved(degrade.degrade(truth, kind, seed))
        verdict = classify(degraded)
        mended = lite_chain(verdict.category)(degraded, verdict, Receipt())
        gain = psnr(mended, truth) - psnr(degraded, truth)
        judgement = judge(degraded, mended, verdict.category)
        print(f"{photo.__name__} {kind}: {psnr(degraded, truth):.2f} dB, {gain:+.2f}")
        assert gain > GAIN_DB[kind]
        assert judgement.kept, judgement.reason


def test_a_low_quality_of_the_file_improves_the_cleaning():
    truth = skimage.data.coffee().astype(np.float32) / 255
    degraded = degrade.compressed(truth, 30)
    verdict = verdict_of(Category.SUPER_RESOLUTION, compression=1.0)
    cleaned = {
        quality: clean(degraded, replace(verdict, jpeg_quality=quality))
        for quality in (30, 95, None)
    }
    assert psnr(cleaned[30], truth) > psnr(cleaned[None], truth) + 0.02
    assert np.array_equal(cleaned[95], cleaned[None])  # a high quality, so the blocks are older


def test_a_likely_degradation_beside_a_certain_one_is_removed():
    truth = skimage.data.coffee().astype(np.float32) / 255
    noisy = degrade.noisy(truth, 10, np.random.default_rng(0))
    soft, both = (
        verdict_of(Category.SUPER_RESOLUTION, softness=1.0, noise=noise) for noise in (0.5, 0.85)
    )
    assert psnr(clean(noisy, both), truth) > psnr(clean(noisy, soft), truth) + 3


def test_beside_blocks_a_photo_is_sharpened_by_half():
    truth = skimage.data.coffee().astype(np.float32) / 255
    blocky = degrade.compressed(truth, 40)
    blocks, both, soft = (
        clean(blocky, verdict_of(Category.SUPER_RESOLUTION, **severities))
        for severities in (
            {"compression": 1.0}, {"compression": 1.0, "softness": 1.0}, {"softness": 1.0},
        )
    )  # fmt: skip
    change, alone = np.abs(both - blocks).mean(), np.abs(soft - blocky).mean()
    assert 0.2 * alone < change < 0.8 * alone


def test_a_ghost_is_removed_on_its_side():
    truth = skimage.data.coffee().astype(np.float32) / 255
    for shift in ((9, 5), (-9, -5)):
        degraded = degrade.ghosted(truth, shift, 0.5)
        verdict = verdict_of(Category.REFLECTION, reflection=0.9)
        mended = lite_chain(Category.REFLECTION)(degraded, verdict, Receipt())
        assert psnr(mended, truth) > psnr(degraded, truth) + 6


def test_a_faint_ghost_is_kept():
    faint = degrade.ghosted(skimage.data.coffee().astype(np.float32) / 255, (9, 5), 0.15)
    assert np.array_equal(remove_ghost(faint, verdict_of(Category.REFLECTION)), faint)


def test_a_photo_without_a_reflection_hardly_changes():
    clear = skimage.data.coffee().astype(np.float32) / 255
    verdict = verdict_of(Category.REFLECTION, reflection=0.9)
    assert psnr(lite_chain(Category.REFLECTION)(clear, verdict, Receipt()), clear) > 34


@pytest.mark.parametrize("category", [c for c in Category if c is not Category.CLEAN])
@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (16, 16), (40, 700), (131, 257)])
def test_any_size_comes_back_at_its_size_and_in_range(category, shape):
    image = np.random.default_rng(0).random((*shape, 3), np.float32)
    verdict = verdict_of(category, **{kind.value: 1.0 for kind in Degradation})
    mended = lite_chain(category)(image, verdict, Receipt())
    assert mended.shape == image.shape
    assert mended.dtype == np.float32
    assert 0 <= mended.min() <= mended.max() <= 1


def test_each_step_is_on_the_receipt():
    receipt = Receipt()
    photo = skimage.data.coffee().astype(np.float32) / 255
    verdict = verdict_of(Category.SUPER_RESOLUTION, noise=0.7)
    lite_chain(Category.SUPER_RESOLUTION)(photo, verdict, receipt)
    assert [step["step"] for step in receipt.steps] == ["restore the whole image", "find text"]


def test_text_keeps_a_share_of_the_change():
    def left_half(image):
        mask = np.zeros(image.shape[:2], np.float32)
        mask[:, : image.shape[1] // 2] = 1
        return mask

    chain = SuperResolution(lambda image, verdict: image + 0.5, left_half, 0.2)
    image = np.zeros((4, 6, 3), np.float32)
    mended = chain(image, verdict_of(Category.SUPER_RESOLUTION), Receipt())
    assert mended[:, :3] == pytest.approx(0.1)
    assert mended[:, 3:] == pytest.approx(0.5)


def test_a_clean_photo_has_no_chain():
    with pytest.raises(ValueError, match="no chain"):
        lite_chain(Category.CLEAN)


def test_tiles_leave_no_seam():
    image = np.random.default_rng(0).random((TILE_PIXELS + 30, 2 * TILE_PIXELS + 1, 3), np.float32)
    assert np.array_equal(by_tiles(image, lambda tile: tile, 8), image)


def test_colours_of_large_areas_stay_those_of_the_original():
    image = np.full((200, 200, 3), 0.5, np.float32)
    kept = with_low_frequencies_of(image, image + np.float32(0.1), 16)
    assert kept == pytest.approx(0.5, abs=1e-4)
