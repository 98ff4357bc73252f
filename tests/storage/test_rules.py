"""Which rule of the settings decides for a photo, and what it says."""

import os
from pathlib import Path

import pytest

from storage.enums import Allowed, Category, Publish, RuleMode, Strength
from storage.rules import ruling
from storage.settings_gallery import GallerySettings
from storage.settings_rules import Rule

GALLERY = GallerySettings(path=Path("/p"), strength=Strength.GENTLE)


def decided(source, *rules, gallery="g"):
    return ruling(rules, gallery, GALLERY, Path(source))


@pytest.mark.parametrize(
    ("match", "source", "matches"),
    [
        ("*.png", "a.png", True),
        ("*.png", "deep/er/a.png", True),
        ("*.png", "a.jpg", False),
        ("2019/", "2019/b/a.jpg", True),
        ("2019/", "x/2019/a.jpg", True),
        ("/2019/", "x/2019/a.jpg", False),
        ("2019/", "2019", False),
        ("2019/*.jpg", "2019/a.jpg", True),
        ("2019/**/c*", "2019/x/y/cat.jpg", True),
        ("*", "a/b.jpg", True),
        ("caf?.jpg", os.fsdecode(b"caf\xe9.jpg"), True),
        ("F\u00eate/", "Fe\u0302te/a.jpg", True),
        ("Fe\u0302te/", "F\u00eate/a.jpg", True),
        ("F?te/", "Fe\u0302te/a.jpg", True),
    ],
)
def test_a_rule_matches_a_photo_or_a_folder_that_it_is_in(match, source, matches):
    assert (decided(source, Rule(match)).number == 1) == matches


def test_the_first_rule_that_matches_decides_alone():
    rules = Rule("a*", strength=Strength.STRONG), Rule("*", faces=False, mode=RuleMode.OFF)
    first = decided("a.jpg", *rules)
    assert (first.number, first.strength, first.faces) == (1, Strength.STRONG, True)
    assert first.why_off is None
    second = decided("b.jpg", *rules)
    assert (second.number, second.strength, second.faces) == (2, Strength.GENTLE, False)
    assert second.why_off == 'rule 2 ("*") turns mending off'
    none = decided("b.jpg", rules[0])
    assert (none.number, none.name, none.strength) == (0, None, Strength.GENTLE)


def test_a_rule_holds_only_in_its_galleries():
    rule = Rule("*", galleries=("h",), mode=RuleMode.OFF)
    assert decided("a.jpg", rule).why_off is None
    assert decided("a.jpg", rule, gallery="h").why_off


def test_a_rule_names_the_categories_that_are_mended():
    found = decided("a.jpg", Rule("*", categories=(Category.REFLECTION,)))
    assert found.why_not(Category.REFLECTION) is found.why_not(Category.CLEAN) is None
    assert found.why_not(Category.MOTION_BLUR) == (
        'rule 1 ("*") mends only reflection, and this is motion-blur'
    )
    assert decided("a.jpg", Rule("*")).why_not(Category.MOTION_BLUR) is None


def test_a_rule_says_what_it_allows_and_whether_results_wait():
    found = decided("a.jpg", Rule("*", allow=(Allowed.EDITS,)))
    assert (found.allowed, found.waits) == ({Allowed.EDITS}, False)
    assert decided("a.jpg", Rule("*", mode=RuleMode.ASK)).waits
    assert decided("a.jpg", Rule("*", publish=Publish.AFTER_REVIEW)).waits
    assert not decided("a.jpg").waits
