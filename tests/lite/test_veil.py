"""What a pane lays over a photo is seen, and taken away without adding light."""

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

classify = Lite()
VERDICT = Verdict({Category.REFLECTION: 1.0}, dict.fromkeys(Degradation, 0.0), True)


def photo(name, size=(480, 400)):
    image = getattr(skimage.data, name)().astype(np.float32) / 255
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def through_a_pane(scene, other, share=0.5):
    return coded(linear(scene) + share * linear(cv2.GaussianBlur(other, (0, 0), 3)))


def test_light_of_a_pane_is_taken_away_and_none_is_added():
    sure = []
    for scene, other in itertools.permutations(("chelsea", "coffee", "astronaut", "rocket"), 2):
        truth = photo(scene)
        seen = through_a_pane(truth, photo(other))
        made = lift_veil(seen, VERDICT)
        gain = psnr(made, truth) - psnr(seen, truth)
        print(f"{scene} behind {other}: severity {veil(seen).severity:.2f}, {gain:+.2f} dB")
        assert (made <= seen).all()
        assert made.min() >= 0
        assert gain > -0.05
        assert veil(seen).severity > veil(truth).severity
        verdict = classify(seen)
        assert verdict.category is Category.REFLECTION
        assert verdict.severities[Degradation.REFLECTION] == veil(seen).severity  # it judges alone
        if veil(seen).severity > 0.8:
            sure.append(gain)
    assert len(sure) >= 10
    assert np.mean(sure) > 1.5


@pytest.mark.parametrize(("scene", "other"), [("rocket", "chelsea"), ("coffee", "chelsea")])
def test_a_photo_through_a_pane_is_recognised_mended_and_kept(scene, other):
    truth = photo(scene)
    seen = through_a_pane(truth, photo(other))
    verdict = classify(seen)
    assert (verdict.category, verdict.confident) == (Category.REFLECTION, True)
    made = lite_chain(Category.REFLECTION)(seen, verdict, Receipt())
    judgement = judge(seen, made, verdict, classify)
    assert judgement.kept, judgement.reason
    assert psnr(made, truth) > psnr(seen, truth) + 1


def test_a_panorama_and_a_scrap_keep_their_size():
    rng = np.random.default_rng(1)
    for shape in ((6, 40_000, 3), (40_000, 6, 3), (1, 1, 3)):
        image = rng.random(shape, np.float32)
        assert lift_veil(image, VERDICT).shape == shape


def test_where_something_else_is_wrong_no_veil_is_lifted():
    seen = through_a_pane(photo("rocket"), photo("chelsea"))
    for degraded in (
        degrade.compressed(seen, 20),
        degrade.noisy(seen, 20, np.random.default_rng(1)),
    ):
        assert classify(degraded).category is Category.SUPER_RESOLUTION


def test_a_large_photo_has_no_seams(monkeypatch):
    seen = cv2.resize(through_a_pane(photo("coffee"), photo("astronaut")), (700, 1300))
    by_strips = lift_veil(seen, VERDICT)
    monkeypatch.setattr(module, "ROWS", 1300)
    assert np.abs(by_strips - lift_veil(seen, VERDICT)).max() < 1e-4
