"""What is done with an image, with an engine whose parts show what was asked of them."""

import numpy as np
import pytest

from storage.enums import Category, Decision, Degradation
from tasks.mend import Engine, mend
from tasks.verdict import Verdict

IMAGE = np.random.default_rng(0).random((96, 96, 3), np.float32) * np.float32(0.5) + 0.2


def verdict(category=Category.MOTION_BLUR, motion=0.9, confident=True):
    scores = {each: float(each is category) for each in Category}
    severities = dict.fromkeys(Degradation, 0.0) | {Degradation.MOTION: motion}
    return Verdict(scores, severities, confident)


class Classifier:
    """Says the given verdicts, one after the other."""

    name = "told"

    def __init__(self, *verdicts):
        self.verdicts = list(verdicts)
        self.qualities = []

    def __call__(self, image, *, jpeg_quality=None):
        self.qualities.append(jpeg_quality)
        return self.verdicts.pop(0)


class Chain:
    """Adds a little to each pixel."""

    scale = 1

    def __call__(self, image, verdict, receipt):
        with receipt.step("brighten"):
            return image + np.float32(0.005)


def never(*_):
    raise AssertionError


def engine(classifier=never, after=0.1):
    measuring = Classifier(verdict(), verdict(motion=after))
    return Engine(classifier, lambda category: Chain(), lambda: measuring)


def test_an_image_is_classified_restored_and_judged():
    found = verdict()
    classifier = Classifier(found)
    mended = mend(IMAGE, engine(lambda: classifier), jpeg_quality=80)
    assert classifier.qualities == [80]
    assert (mended.verdict, mended.decision) == (found, Decision.RESTORED)
    assert np.array_equal(mended.image, IMAGE + np.float32(0.005))
    [step] = mended.record["steps"]
    assert step["step"] == "brighten"
    assert mended.record["guard"]["motion_after"] == 0.1
    assert mended.record["generative"] is False


def test_what_the_guard_refuses_is_not_kept():
    mended = mend(IMAGE, engine(after=0.99), verdict=verdict())
    assert mended.decision is Decision.KEPT_ORIGINAL
    assert "motion went from 0.90 to 0.99" in mended.reason
    assert mended.image is IMAGE
    assert mended.figures["motion_after"] == 0.99


@pytest.mark.parametrize(
    ("found", "decision"),
    [(verdict(Category.CLEAN), Decision.CLEAN), (verdict(confident=False), Decision.UNSURE)],
)
def test_what_is_clean_or_unsure_is_left_and_nothing_is_loaded_for_it(found, decision):
    mended = mend(IMAGE, Engine(lambda: Classifier(found), never, never))
    assert mended.decision is decision
    assert (mended.decision, mended.reason) == found.untouched
    assert mended.image is IMAGE
    assert mended.record == {"steps": [], "guard": {}, "generative": False}


def test_a_verdict_that_is_given_is_acted_on():
    mended = mend(IMAGE, engine(), verdict=verdict(confident=False))
    assert mended.decision is Decision.RESTORED
