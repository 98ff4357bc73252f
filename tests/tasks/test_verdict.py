"""A verdict decides whether a photo may be touched, and comes back from its job as it went in."""

import dataclasses
import json

import pytest

from storage.enums import Category, Decision, Degradation
from tasks.verdict import Verdict

STORED = (
    '{"scores": {"super-resolution": 0.9312, "reflection": 0.0104, "motion-blur": 0.0461, '
    '"clean": 0.0123}, "severities": {"noise": 0.9981, "compression": 0.0712, '
    '"softness": 0.2203, "motion": 0.1024, "reflection": 0.0306}, "confident": true, '
    '"classifier": "lite 7"}'
)
"""As version 1 of the database holds it."""


def verdict(category, score=0.9, confident=True):
    rest = (1 - score) / 3
    scores = {each: score if each is category else rest for each in Category}
    return Verdict(scores, dict.fromkeys(Degradation, 0.25), confident)


def test_a_stored_verdict_is_read():
    read = Verdict.from_json(json.loads(STORED), jpeg_quality=87)
    assert (read.category, read.confident) == (Category.SUPER_RESOLUTION, True)
    assert read.scores[Category.MOTION_BLUR] == 0.0461
    assert read.severities[Degradation.NOISE] == 0.9981
    assert read.jpeg_quality == 87
    assert read.to_json() | {"classifier": "lite 7"} == json.loads(STORED)


@pytest.mark.parametrize(
    "stored",
    [
        {"scores": {"reflection": 0.8}},
        {"scores": {"reflection": 0.8}, "severities": {"reflection": 0.9}, "confident": True},
    ],
)
def test_a_verdict_that_lacks_newer_keys_is_read(stored):
    read = Verdict.from_json(stored)
    assert read.category is Category.REFLECTION
    assert set(read.scores) == set(Category)
    assert read.severities == dict.fromkeys(Degradation, 0.0) | {
        Degradation(name): severity for name, severity in stored.get("severities", {}).items()
    }


def test_only_a_sure_photo_that_is_not_clean_may_be_touched():
    unsure = verdict(Category.MOTION_BLUR, 0.61, confident=False)
    assert unsure.untouched == (Decision.UNSURE, "perhaps motion-blur (0.61)")
    assert verdict(Category.CLEAN).untouched == (Decision.CLEAN, None)
    assert verdict(Category.CLEAN, confident=False).untouched[0] is Decision.UNSURE
    for category in Category:
        assert (verdict(category).untouched is None) == (category is not Category.CLEAN)


def test_a_photo_that_surely_moved_says_what_could_try():
    moved = dataclasses.replace(
        verdict(Category.MOTION_BLUR, 0.9, confident=False),
        severities=dict.fromkeys(Degradation, 0.2) | {Degradation.MOTION: 0.9},
    )
    assert moved.untouched == (Decision.UNSURE, "moved; the paper's engine could try")
    assert dataclasses.replace(moved, confident=True).untouched is None


def test_an_unsure_verdict_gives_the_doubt_of_its_classifier():
    doubt = "perhaps motion blur (0.41, 0.972 needed)"
    unsure = dataclasses.replace(verdict(Category.MOTION_BLUR, 0.6, confident=False), doubt=doubt)
    assert unsure.untouched == (Decision.UNSURE, doubt)


@pytest.mark.parametrize("confident", [True, False])
def test_a_verdict_that_the_owner_asks_for_is_sure_and_its_chain_acts_on_it(confident):
    found = verdict(Category.CLEAN, confident=confident)
    severities = found.severities | {Degradation.SOFTNESS: 0.4}
    found = dataclasses.replace(found, severities=severities, doubt="perhaps")
    asked = found.asked_for(Category.SUPER_RESOLUTION)
    assert (asked.category, asked.untouched) == (Category.SUPER_RESOLUTION, None)
    assert asked.severities == severities | {Degradation.SOFTNESS: 1.0}
    for category in (Category.REFLECTION, Category.MOTION_BLUR):
        assert found.asked_for(category).category is category


def test_a_verdict_without_a_named_category_takes_the_likeliest_fault():
    scores = {
        Category.CLEAN: 0.7, Category.REFLECTION: 0.2, Category.MOTION_BLUR: 0.05,
        Category.SUPER_RESOLUTION: 0.05,
    }  # fmt: skip
    found = Verdict(scores, dict.fromkeys(Degradation, 0.1), True)
    assert found.asked_for(None).category is Category.REFLECTION


def test_a_sure_verdict_is_what_the_owner_asks_for():
    found = verdict(Category.REFLECTION)
    assert found.asked_for(None) is found.asked_for(Category.REFLECTION) is found
    assert found.asked_for(Category.MOTION_BLUR).category is Category.MOTION_BLUR
