"""Haze is left alone; a photo with a reflection and JPEG blocks gets both removed, blocks first."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from storage.enums import Category, Decision, Degradation
from tasks.chains.reflection import Reflection, nothing_hidden, unpainted
from tasks.evaluation.metrics import fsim, psnr, ssim
from tasks.imaging import degrade
from tasks.imaging.light import coded, linear
from tasks.lite.classifier import Lite, to_mend
from tasks.lite.engine import lite_chain
from tasks.lite.limits import MIN_SEVERITY
from tasks.lite.veil import structure, veil
from tasks.mend import Engine, mend
from tasks.receipt import Receipt
from tasks.verdict import Verdict

pytestmark = pytest.mark.slow

PHOTOS = Path(__file__).parents[2] / "../shared/photos/research"
real = pytest.mark.skipif(not PHOTOS.is_dir(), reason="needs the real photos in ../shared")

classify = Lite()


def scene():
    return skimage.data.coffee().astype(np.float32) / 255


def hazy(image):
    """Return an image in haze that is thicker at the top, as with the distance of a landscape."""
    thickness = np.linspace(0.7, 0.45, image.shape[0], dtype=np.float32)[:, None, None]
    return coded(linear(image) * (1 - thickness) + thickness * np.float32(0.6))


def behind_a_pane(image):
    """Return an image with the reflection of another photo, out of focus."""
    other = cv2.resize(skimage.data.astronaut().astype(np.float32) / 255, image.shape[1::-1])
    return coded(linear(image) * 0.8 + 0.5 * cv2.GaussianBlur(linear(other), (0, 0), 4))


def test_haze_is_no_reflection():
    haze = hazy(scene())
    found, verdict = veil(haze), classify(haze)
    print(found.severity, found.share, structure(found.light))
    assert found.severity >= MIN_SEVERITY[Degradation.REFLECTION]  # so only its structure differs
    assert not found.shows_a_scene
    assert not (verdict.confident and verdict.category is Category.REFLECTION)


def test_patches_of_mist_are_no_reflection():
    photo = skimage.data.rocket().astype(np.float32) / 255
    photo = cv2.resize(photo, (480, 400), interpolation=cv2.INTER_AREA)
    patches = np.random.default_rng(6).random((5, 5)).astype(np.float32)
    mist = cv2.resize(patches, (480, 400), interpolation=cv2.INTER_CUBIC)[..., None]
    thickness = np.clip(0.4 * (0.5 + mist), 0, 0.95)
    found = veil(coded(linear(photo) * (1 - thickness) + thickness * np.float32(0.6)))
    print(found.severity, found.share, structure(found.light))
    assert found.severity >= MIN_SEVERITY[Degradation.REFLECTION]
    assert not found.shows_a_scene


def test_the_colours_of_a_light_are_structure():
    even = np.full((56, 56, 3), 0.2, np.float32)
    coloured = even.copy()
    coloured[:, ::2] *= np.float32([1.5, 1, 0.5])
    clouds = even * np.linspace(0.5, 1.5, 56, dtype=np.float32)[:, None, None] ** 2
    assert structure(even) < 0.01
    assert structure(clouds) < 0.01
    assert structure(coloured) == pytest.approx(0.12, abs=0.02)


def test_a_reflected_scene_has_structure():
    found = veil(behind_a_pane(scene()))
    print(found.severity, found.share, structure(found.light))
    assert found.shows_a_scene


@real
def test_a_real_reflection_is_reduced():
    folder = PHOTOS / "refl_location/location_aware_pairs"
    blended, truth = (read(folder / name / "000003.png") for name in ("blend", "transmission"))
    mended = mend(blended, Engine(lambda: classify, lite_chain))
    assert mended.decision is Decision.RESTORED, mended.reason
    assert psnr(mended.image, truth) > psnr(blended, truth) + 0.5
    assert ssim(mended.image, truth) > ssim(blended, truth)
    assert fsim(mended.image, truth) > fsim(blended, truth)


@real
def test_a_real_moved_photo_has_no_reflection():
    found = veil(read(PHOTOS / "blur_real/kwentar_triples/180_HONOR-10_M.jpg"))
    assert found.severity < MIN_SEVERITY[Degradation.REFLECTION]


def read(path):
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB).astype(np.float32) / 255


def test_a_reflection_in_a_compressed_file_is_removed_with_its_blocks():
    truth = scene()
    file = degrade.compressed(behind_a_pane(truth), 60)
    verdict, receipt = classify(file, jpeg_quality=60), Receipt()
    assert (verdict.category, verdict.confident) == (Category.REFLECTION, True)
    mended = lite_chain(Category.REFLECTION)(file, verdict, receipt)
    veil_only = lite_chain(Category.REFLECTION)(file, without_blocks(verdict), Receipt())
    assert receipt.steps[0]["step"] == "remove blocks"
    assert receipt.steps[0]["changed"]
    assert psnr(mended, truth) > psnr(veil_only, truth) + 0.02
    assert psnr(mended, truth) > psnr(file, truth) + 1


def test_blocks_that_nobody_sees_are_left_beside_a_reflection():
    file = behind_a_pane(scene())
    verdict, receipt = classify(file, jpeg_quality=75), Receipt()
    lite_chain(Category.REFLECTION)(file, verdict, receipt)
    print(verdict.severities)
    assert not receipt.steps[0]["changed"]


@pytest.mark.parametrize(
    ("severities", "kinds"),
    [
        ({"reflection": 0.8, "compression": 1}, set()),
        ({"reflection": 1, "compression": 1}, {"reflection", "compression"}),
        ({"reflection": 1, "compression": 1, "softness": 0.8}, set()),
        ({"reflection": 0.3, "compression": 1}, {"compression"}),
        ({"reflection": 0.8, "compression": 1, "noise": 1}, {"noise"}),
    ],
)
def test_blocks_beside_a_likely_reflection_are_removed_with_it_or_left(severities, kinds):
    found = dict.fromkeys(Degradation, 0.0)
    found |= {Degradation(kind): severity for kind, severity in severities.items()}
    assert set(to_mend(found, 0.0)) == {Degradation(kind) for kind in kinds}


def without_blocks(verdict):
    severities = {**verdict.severities, Degradation.COMPRESSION: 0.0}
    return replace(verdict, severities=severities)


def test_blocks_are_removed_before_the_reflection():
    chain = Reflection(
        nothing_hidden, unpainted, lambda image, _: image * 2, remove_blocks=lambda image, _: image + 1
    )  # fmt: skip
    verdict = Verdict(dict.fromkeys(Category, 0.25), dict.fromkeys(Degradation, 0.0), True)
    assert chain(np.zeros((2, 2, 3), np.float32), verdict, Receipt()) == pytest.approx(2)
