"""What is done with an image, with an engine whose parts show what was asked of them."""

import cv2
import numpy as np
import pytest

from storage.enums import Category, Decision, Degradation, LeastChange, Strength
from tasks import guard
from tasks.imaging.visibility import VISIBLE
from tasks.mend import Engine, blended, mend
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
    """Takes a share of the grain away, and enlarges."""

    def __init__(self, share=1.0, scale=1):
        self.share, self.scale = np.float32(share), scale

    def __call__(self, image, verdict, receipt):
        with receipt.step("smooth"):
            smooth = image + self.share * (cv2.blur(image, (3, 3)) - image)
            return cv2.resize(smooth, None, fx=self.scale, fy=self.scale)


class Brightening:
    """Adds a value to each pixel, and evens out the first corner."""

    scale = 1

    def __init__(self, added, painted=0):
        self.added, self.painted = np.float32(added), painted

    def __call__(self, image, verdict, receipt):
        bright, corner = image + self.added, slice(self.painted)
        if self.painted:
            bright[corner, corner] = bright[corner, corner].mean()
        return bright


def never(*_):
    raise AssertionError


def engine(classifier=never, chain=Chain(), **settings):  # noqa: B008 it has no state
    return Engine(classifier, lambda category: chain, **settings)


def test_an_image_is_classified_restored_and_judged():
    found = verdict()
    classifier = Classifier(found)
    mended = mend(IMAGE, engine(lambda: classifier), jpeg_quality=80)
    assert classifier.qualities == [80]
    assert (mended.verdict, mended.decision) == (found, Decision.RESTORED)
    assert np.allclose(mended.image, cv2.blur(IMAGE, (3, 3)), atol=1e-6)
    [step] = mended.record["steps"]
    assert step["step"] == "smooth"
    assert mended.record["guard"]["kept_share"] == 1
    assert mended.record["guard"]["visible_change"] > VISIBLE
    assert mended.record["generative"] is False


def test_what_the_guard_refuses_is_not_kept():
    mended = mend(IMAGE, engine(chain=Brightening(0.02)), verdict=verdict())
    assert mended.decision is Decision.KEPT_ORIGINAL
    assert "the shift of the mean colour is 5.10/255" in mended.reason
    assert mended.failed == "mean_shift"
    assert mended.image is IMAGE
    assert mended.figures["mean_shift"] == pytest.approx(5.1, abs=0.01)


def test_a_network_whose_numbers_are_not_finite_leaves_the_image_and_is_named():
    def overflow(image, verdict, receipt):
        with receipt.step("smooth"):
            pass
        raise FloatingPointError("the net returned values that are not finite")

    overflow.scale = 1
    mended = mend(IMAGE, Engine(lambda: Classifier(verdict()), lambda category: overflow))
    assert (mended.decision, mended.failed) == (Decision.KEPT_ORIGINAL, "pixels")
    assert mended.reason == "the net returned values that are not finite"
    assert mended.image is IMAGE
    assert [step["step"] for step in mended.record["steps"]] == ["smooth"]


def test_where_a_result_is_worse_the_image_itself_is_kept():
    image = np.full((256, 256, 3), 0.5, np.float32)
    cv2.putText(image, "A", (2, 28), 0, 1, (0.44, 0.44, 0.44), 3)
    chain = Brightening(0.005, painted=32)
    mended = mend(image, engine(chain=chain, least_change=LeastChange.ANY), verdict=verdict())
    assert mended.decision is Decision.RESTORED
    assert np.abs(mended.image[:16, :16] - image[:16, :16]).max() < 0.001
    assert np.array_equal(mended.image[200:, 200:], image[200:, 200:] + np.float32(0.005))


@pytest.mark.parametrize(
    ("found", "decision"),
    [(verdict(Category.CLEAN), Decision.CLEAN), (verdict(confident=False), Decision.UNSURE)],
)
def test_what_is_clean_or_unsure_is_left_and_nothing_is_loaded_for_it(found, decision):
    mended = mend(IMAGE, Engine(lambda: Classifier(found), never))
    assert mended.decision is decision
    assert (mended.decision, mended.reason) == found.untouched
    assert mended.image is IMAGE
    nothing = {"steps": [], "guard": {}, "generative": False, "strength": "normal"}
    assert mended.record == nothing


def test_a_verdict_that_is_given_is_acted_on():
    mended = mend(IMAGE, engine(), verdict=verdict(confident=False))
    assert mended.decision is Decision.RESTORED


def test_what_nobody_would_see_makes_no_copy():
    mended = mend(IMAGE, engine(chain=Chain(0.1)), verdict=verdict())
    assert (mended.decision, mended.reason) == (Decision.CLEAN, "nothing a person would see")
    assert mended.image is IMAGE
    assert 0 < mended.record["guard"]["visible_change"] < VISIBLE


def test_a_change_that_nobody_would_see_is_kept_if_any_is_wanted():
    given = engine(chain=Chain(0.1), least_change=LeastChange.ANY)
    mended = mend(IMAGE, given, verdict=verdict())
    assert mended.decision is Decision.RESTORED
    assert mended.image is not IMAGE
    assert 0 < mended.record["guard"]["visible_change"] < VISIBLE


def test_an_enlarged_image_is_kept_however_little_changed():
    mended = mend(IMAGE, engine(chain=Chain(0.0, scale=2)), verdict=verdict())
    assert mended.decision is Decision.RESTORED
    assert mended.image.shape == (192, 192, 3)


class FadingAtBorders:
    """Smooths, and evens out the columns at the borders, as a network does that sees nothing there."""

    scale = 1

    def __call__(self, image, verdict, receipt):
        made = cv2.blur(image, (3, 3))
        made[:, :4] -= 0.05
        made[:, -4:] += 0.05
        return made


def _seam(image):
    """The difference of the two columns at the seam, as a multiple of that of other columns."""
    steps = np.abs(np.diff(np.concatenate([image, image[:, :1]], axis=1), axis=1)).mean((0, 2))
    return steps[-1] / np.median(steps)


def test_the_seam_of_a_panorama_is_no_rougher_than_the_rest():
    half = cv2.resize(IMAGE, (192, 96), interpolation=cv2.INTER_CUBIC)
    panorama = np.concatenate([half, half[:, ::-1]], axis=1)
    chain = engine(chain=FadingAtBorders(), least_change=LeastChange.ANY)
    flat = mend(panorama, chain, verdict=verdict())
    assert flat.decision is Decision.RESTORED
    assert _seam(flat.image) > 1.5
    round_ = mend(panorama, chain, verdict=verdict(), wraps=True)
    assert round_.image.shape == panorama.shape
    assert _seam(round_.image) < 1.1


def test_a_panorama_that_is_kept_is_the_given_one_and_one_that_is_enlarged_has_its_size():
    dark = engine(chain=Brightening(0.4))
    assert mend(IMAGE, dark, verdict=verdict(), wraps=True).image is IMAGE
    twice = engine(chain=Chain(scale=2))
    assert mend(IMAGE, twice, verdict=verdict(), wraps=True).image.shape == (192, 192, 3)


@pytest.mark.parametrize(
    ("strength", "share"), [("gentle", 0.5), ("normal", 1.0), ("strong", 1.25)]
)
def test_a_result_has_as_much_of_the_change_as_its_strength_says(strength, share):
    chosen = engine(chain=Chain(share=0.5), strength=Strength(strength))
    mended = mend(IMAGE, chosen, verdict=verdict())
    expected = IMAGE + 0.5 * share * (cv2.blur(IMAGE, (3, 3)) - IMAGE)
    assert mended.decision is Decision.RESTORED
    assert np.allclose(mended.image, expected, atol=1e-5)
    assert mended.record["strength"] == strength


def test_a_stronger_result_is_judged_as_any_and_stays_an_image():
    dark = np.clip(IMAGE * 0.5 - 0.1, 0, 1)
    assert blended(dark, np.clip(dark - 0.1, 0, 1), Strength.STRONG).min() >= 0
    brighter = Brightening(0.007)  # the guard allows a shift of the mean by 2/255
    mended = mend(IMAGE, engine(chain=brighter, strength=Strength.STRONG), verdict=verdict())
    assert mended.decision is Decision.RESTORED
    assert np.allclose(mended.image, IMAGE + np.float32(0.007), atol=1e-6)
    assert mended.reason and mended.reason.startswith("not strongly, since ")
    worse = engine(chain=Brightening(0.02), strength=Strength.STRONG)
    assert mend(IMAGE, worse, verdict=verdict()).decision is Decision.KEPT_ORIGINAL


def test_a_gentle_result_is_kept_if_the_normal_one_is(monkeypatch):
    judged = []
    judge = guard.judge
    monkeypatch.setattr(guard, "judge", lambda *a, **b: judged.append(a[1]) or judge(*a, **b))
    normal, gentle = (
        mend(IMAGE, engine(chain=Chain(share=0.5), strength=each), verdict=verdict())
        for each in (Strength.NORMAL, Strength.GENTLE)
    )
    assert np.array_equal(judged[0], judged[1])
    assert np.allclose(gentle.image, (IMAGE + normal.image) / 2, atol=1e-6)


def test_an_enlarged_result_is_blended_with_the_enlarged_image():
    chain = Chain(scale=2)
    mended = mend(IMAGE, engine(chain=chain, strength=Strength.GENTLE), verdict=verdict())
    large = cv2.resize(IMAGE, (192, 192), interpolation=cv2.INTER_CUBIC)
    made = cv2.resize(cv2.blur(IMAGE, (3, 3)), None, fx=2, fy=2)
    assert np.allclose(blended(IMAGE, made, Strength.GENTLE), (large + made) / 2, atol=1e-5)
    assert mended.image.shape == (192, 192, 3)
