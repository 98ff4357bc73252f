"""What `mend` hands to the parts of an engine and to the guard, and what it keeps of their answers."""

import numpy as np
import pytest

from storage.enums import Category, Decision, Degradation, LeastChange
from tasks.guard import Judgement
from tasks.imaging import visibility
from tasks.mend import Engine, Mended, mend
from tasks.verdict import Verdict

IMAGE = np.full((70, 90, 3), 0.5, np.float32)
TEXT = np.ones((70, 90), np.float32)
ACTED_ON = [Category.SUPER_RESOLUTION, Category.REFLECTION, Category.MOTION_BLUR]


def verdict(category, confident=True):
    scores = {each: 0.7 if each is category else 0.1 for each in Category}
    return Verdict(scores, dict.fromkeys(Degradation, 0.3), confident)


class Chain:
    def __init__(self, scale, generative):
        self.scale, self.generative, self.given = scale, generative, []
        self.made = np.full((70 * scale, 90 * scale, 3), 0.6, np.float32)

    def __call__(self, image, verdict, receipt):
        self.given.append((image, verdict))
        with receipt.step("restore"):
            receipt.text, receipt.generative = TEXT, self.generative
        return self.made


@pytest.fixture
def judged(monkeypatch):
    """Set the guard's answer, and return what it is asked."""
    asked = []

    def set_(answer):
        def judge(*images, **facts):
            asked.append((images, facts))
            return answer

        monkeypatch.setattr("tasks.mend.guard.judge", judge)
        return asked

    return set_


@pytest.mark.parametrize("category", ACTED_ON)
@pytest.mark.parametrize(("scale", "generative"), [(1, False), (2, True)])
def test_chain_and_guard_get_the_image_the_verdict_and_what_the_chain_noted(
    judged, category, scale, generative
):
    kept = np.full((70 * scale, 90 * scale, 3), 0.55, np.float32)
    asked = judged(Judgement(True, "better", {"kept_share": 0.123456}, kept, None))
    chain, given, categories = Chain(scale, generative), verdict(category), []
    engine = Engine(lambda: None, lambda one: categories.append(one) or chain)
    mended = mend(IMAGE, engine, verdict=given)
    assert categories == [category]
    [(image, said)] = chain.given
    assert image is IMAGE and said is given
    [((before, after), facts)] = asked
    assert before is IMAGE and after is chain.made
    assert facts == {
        "category": category, "scale": scale, "text": TEXT, "generative": generative,
    }  # fmt: skip
    assert mended.verdict is given and mended.image is kept
    assert (mended.decision, mended.reason, mended.failed) == (Decision.RESTORED, "better", None)
    assert [step["step"] for step in mended.receipt.steps] == ["restore"]
    record = mended.record
    assert set(record) == {"steps", "guard", "generative", "strength"}
    assert record["steps"] is mended.receipt.steps and record["generative"] is generative
    assert record["guard"]["kept_share"] == 0.12346
    assert ("visible_change" in record["guard"]) == (scale == 1)


def test_a_refused_result_keeps_the_guards_figures_and_reason(judged):
    judged(Judgement(False, "worse", {"ringing": 9.0}, IMAGE, "ringing"))
    engine = Engine(lambda: None, lambda _: Chain(1, False))
    given = verdict(Category.REFLECTION)
    mended = mend(IMAGE, engine, verdict=given)
    assert (mended.decision, mended.reason) == (Decision.KEPT_ORIGINAL, "worse")
    assert (mended.failed, mended.figures) == ("ringing", {"ringing": 9.0})
    assert mended.image is IMAGE and mended.verdict is given
    assert [step["step"] for step in mended.record["steps"]] == ["restore"]


@pytest.mark.parametrize(
    ("least", "change", "decision"),
    [
        (LeastChange.VISIBLE, visibility.VISIBLE, Decision.RESTORED),
        (LeastChange.VISIBLE, 0.99 * visibility.VISIBLE, Decision.CLEAN),
        (LeastChange.ANY, 0.99 * visibility.VISIBLE, Decision.RESTORED),
    ],
)
def test_a_visible_change_is_kept(judged, monkeypatch, least, change, decision):
    kept, compared = IMAGE + np.float32(0.01), []
    judged(Judgement(True, "better", {"kept_share": 1.0}, kept, None))
    monkeypatch.setattr(
        "tasks.mend.visible_change", lambda *images: compared.append(images) or change
    )
    engine = Engine(lambda: None, lambda _: Chain(1, False), least)
    mended = mend(IMAGE, engine, verdict=verdict(Category.REFLECTION))
    [(before, after)] = compared
    assert before is IMAGE and after is kept
    assert mended.decision is decision
    assert mended.image is (kept if decision is Decision.RESTORED else IMAGE)
    assert mended.figures == {"kept_share": 1.0, "visible_change": change}
    unseen = decision is Decision.CLEAN
    assert mended.reason == ("nothing a person would see" if unseen else "better")


@pytest.mark.parametrize(
    ("category", "confident"), [(Category.CLEAN, True), (Category.REFLECTION, False)]
)
def test_what_is_left_keeps_its_verdict_and_is_given_back(category, confident):
    given, asked = verdict(category, confident), []

    def classify(image, *, jpeg_quality):
        asked.append((image, jpeg_quality))
        return given

    mended = mend(IMAGE, Engine(lambda: classify, None), jpeg_quality=77)
    assert mended == Mended(given, *given.untouched, IMAGE)
    assert mended.image is IMAGE
    [(image, quality)] = asked
    assert image is IMAGE and quality == 77


def test_an_invisible_change_is_not_kept_by_default():
    assert Engine(lambda: None, lambda _: None).least_change is LeastChange.VISIBLE
