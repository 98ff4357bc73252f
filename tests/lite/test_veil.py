"""The light that a pane adds to a photo is found, and subtracted without adding light."""

import itertools

import cv2
import numpy as np
import pytest
import skimage.data

from storage.enums import Category, Degradation
from tasks.evaluation.metrics import psnr
from tasks.guard import judge
from tasks.imaging import degrade
from tasks.imaging.light import coded, linear
from tasks.lite import lift_veil as module
from tasks.lite.classifier import Lite
from tasks.lite.engine import lite_chain
from tasks.lite.lift_veil import lift_veil
from tasks.lite.veil import veil
from tasks.receipt import Receipt
from tasks.verdict import Verdict

pytestmark = pytest.mark.slow

classify = Lite()
VERDICT = Verdict({Category.REFLECTION: 1.0}, dict.fromkeys(Degradation, 0.0), True)


def photo(name, size=(480, 400)):
    image = getattr(skimage.data, name)().astype(np.float32) / 255
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def behind_a_pane(scene, other, share=0.5):
    return coded(linear(scene) + share * linear(cv2.GaussianBlur(other, (0, 0), 3)))


def test_the_light_of_a_pane_is_subtracted_and_none_is_added():
    sure, scenes = [], 0
    for scene, other in itertools.permutations(("chelsea", "coffee", "astronaut", "rocket"), 2):
        truth = photo(scene)
        veiled = behind_a_pane(truth, photo(other))
        lifted = lift_veil(veiled, VERDICT)
        gain = psnr(lifted, truth) - psnr(veiled, truth)
        print(f"{scene} behind {other}: severity {veil(veiled).severity:.2f}, {gain:+.2f} dB")
        assert (lifted <= veiled).all()
        assert lifted.min() >= 0
        assert gain > -0.05
        assert veil(veiled).severity > veil(truth).severity
        verdict = classify(veiled)
        assert verdict.category is Category.REFLECTION
        if veil(veiled).shows_a_scene:
            scenes += 1
            assert verdict.severities[Degradation.REFLECTION] == veil(veiled).severity
        if veil(veiled).severity > 0.8:
            sure.append(gain)
    assert scenes >= 10
    assert len(sure) >= 10
    assert np.mean(sure) > 1.9


@pytest.mark.parametrize(("scene", "other"), [("rocket", "chelsea"), ("coffee", "chelsea")])
def test_a_photo_with_a_reflection_is_recognised_mended_and_kept(scene, other):
    truth = photo(scene)
    veiled = behind_a_pane(truth, photo(other))
    verdict = classify(veiled)
    assert (verdict.category, verdict.confident) == (Category.REFLECTION, True)
    lifted = lite_chain(Category.REFLECTION)(veiled, verdict, Receipt())
    judgement = judge(veiled, lifted, verdict.category)
    assert judgement.kept, judgement.reason
    assert psnr(lifted, truth) > psnr(veiled, truth) + 1


def test_extreme_sizes_are_kept():
    rng = np.random.default_rng(1)
    for shape in ((6, 40_000, 3), (40_000, 6, 3), (1, 1, 3)):
        image = rng.random(shape, np.float32)
        assert lift_veil(image, VERDICT).shape == shape


def test_no_veil_is_lifted_beside_noise():
    veiled = behind_a_pane(photo("rocket"), photo("chelsea"))
    noisy = degrade.noisy(veiled, 20, np.random.default_rng(1))
    assert classify(noisy).category is Category.SUPER_RESOLUTION


def test_a_large_photo_has_no_seams(monkeypatch):
    veiled = cv2.resize(behind_a_pane(photo("coffee"), photo("astronaut")), (700, 1300))
    by_strips = lift_veil(veiled, VERDICT)
    monkeypatch.setattr(module, "ROWS", 1300)
    assert np.abs(by_strips - lift_veil(veiled, VERDICT)).max() < 1e-4
