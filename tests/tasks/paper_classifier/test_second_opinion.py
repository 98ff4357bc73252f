"""A photo is mended only if two classifiers do not contradict each other."""

from dataclasses import dataclass

import numpy as np
import pytest

from storage.enums import Category, Degradation
from tasks.paper.classifier.answers import MIN_SCORES, Answer, severities, verdict
from tasks.paper.classifier.second_opinion import SecondOpinion
from tasks.verdict import Verdict

A, B, C, D = Category
IMAGE = np.full((80, 80, 3), 0.5, np.float32)


@dataclass(frozen=True)
class Says:
    category: Category
    confident: bool
    score: float = 0.7
    name: str = "says"

    def __call__(self, image, *, jpeg_quality=None):
        rest = (1 - self.score) / 3
        scores = {one: self.score if one is self.category else rest for one in Category}
        return Verdict(
            scores, dict.fromkeys(Degradation, (jpeg_quality or 0) / 100), self.confident
        )


@pytest.mark.parametrize(
    ("first", "second", "category", "confident"),
    [
        ((A, True), (A, True), A, True),
        ((D, True), (D, True), D, True),
        ((A, True), (D, True), None, False),
        ((D, True), (B, True), None, False),
        ((A, True), (D, False), A, True),
        ((D, True), (A, False), D, True),
        ((B, False), (B, True), B, True),
        ((D, False), (A, True), None, False),
        ((A, False), (D, True), None, False),
        ((A, False), (A, False), A, False),
        ((A, False), (B, False), None, False),
    ],
)
def test_a_photo_is_touched_only_if_nobody_who_is_sure_objects(first, second, category, confident):
    told = SecondOpinion(Says(*first), Says(*second))(IMAGE)
    assert told.confident is confident
    assert category is None or told.category is category


def test_severities_are_those_of_the_one_who_measures():
    told = SecondOpinion(Says(A, False), Says(A, True))(IMAGE, jpeg_quality=30)
    assert set(told.severities.values()) == {0.3}


def test_scores_are_the_mean_of_both_and_the_name_tells_both():
    both = SecondOpinion(Says(A, True, 0.7, "one"), Says(B, True, 0.9, "other"))
    told = both(IMAGE)
    assert sum(told.scores.values()) == pytest.approx(1)
    assert told.scores[B] == pytest.approx((0.1 + 0.9) / 2)
    assert "one" in both.name and "other" in both.name


def odds(a, b, c, d):
    return dict(zip(Category, (a, b, c, d), strict=True))


def test_a_sure_letter_is_believed_and_an_unsure_one_is_not():
    assert verdict(Answer(odds(0.9, 0.02, 0.02, 0.02)), None, MIN_SCORES).confident
    assert not verdict(Answer(odds(0.5, 0.02, 0.02, 0.4)), None, MIN_SCORES).confident


def test_reflections_and_movements_need_more_than_the_rest():
    for bar, one in zip((0.7, 0.8, 0.8, 0.5), Category, strict=True):
        for share, believed in ((bar - 0.02, False), (bar + 0.02, True)):
            given = {other: share if other is one else (1 - share) / 3 for other in Category}
            assert verdict(Answer(given), None, MIN_SCORES).confident is believed


def test_letters_that_are_a_small_part_of_all_it_could_say_are_not_believed():
    told = verdict(Answer(odds(0.39, 0, 0, 0)), None, MIN_SCORES)
    assert told.scores[A] == 1 and not told.confident


def test_no_letter_at_all_leaves_every_category_alike():
    told = verdict(Answer(odds(0, 0, 0, 0)), None, MIN_SCORES)
    assert set(told.scores.values()) == {0.25} and not told.confident


def test_what_is_said_of_nothing_is_divided_out():
    told = verdict(Answer(odds(0.4, 0.1, 0.1, 0.4)), Answer(odds(0.6, 0.1, 0.1, 0.2)), MIN_SCORES)
    weighed = [0.4 / 0.6, 1, 1, 0.4 / 0.2]
    assert list(told.scores.values()) == pytest.approx([one / sum(weighed) for one in weighed])


def test_a_letter_that_is_never_said_of_nothing_does_not_win_by_that_alone():
    told = verdict(
        Answer(odds(0.3, 0.02, 0.02, 0.6)), Answer(odds(0.001, 0.001, 0.001, 0.99)), MIN_SCORES
    )
    assert told.category is A and not told.confident


def test_a_prior_that_is_no_letter_is_not_used():
    plain = Answer(odds(0.8, 0.05, 0.05, 0.1))
    told = verdict(plain, Answer(odds(0.1, 0.1, 0.1, 0.01)), MIN_SCORES)
    assert told.scores == pytest.approx(plain.odds)


def test_each_degradation_has_the_score_of_the_category_that_treats_it():
    told = severities(odds(0.1, 0.2, 0.3, 0.4))
    assert told == {
        Degradation.NOISE: 0.1,
        Degradation.COMPRESSION: 0.1,
        Degradation.SOFTNESS: 0.1,
        Degradation.MOTION: 0.3,
        Degradation.REFLECTION: 0.2,
    }
