"""The question that is put to a vision-language net, and the letters of its answer."""

import re

from storage.enums import Category

PROMPT = (
    "Analyze this image and determine the type of image degradation it exhibits. Categorize it "
    "into one of the following degradation types: A. Super-resolution degradation (including "
    "noise, blur, JPEG compression); B. Reflection artifacts; C. Motion blur; D. No visible "
    "degradation (high-quality image). Provide a simple result, i.e. A, B, C, or D."
)
"""Word for word: section III.A of the paper."""
PREFACE = (
    "The images all show one photo. The first is the whole photo made smaller; the others are "
    "parts of it in its own pixels, which show noise, compression and blur as they are. Take them "
    "together as one image."
)
"""Our own words, in front of the paper's where a photo is shown by more than one picture."""
LETTERS = {
    "A": Category.SUPER_RESOLUTION,
    "B": Category.REFLECTION,
    "C": Category.MOTION_BLUR,
    "D": Category.CLEAN,
}
LEADING_MARKS = " \t\r\n*\"'`(["
"""What may stand before a letter_category in a token, and is still that letter_category."""

_ARTICLE = r"A(?= (?!or\b|and\b)[a-z])"
_LETTER = re.compile(rf"(?<![\w'])(?!{_ARTICLE})[A-D](?![\w'])")


def question(pictures: int) -> str:
    """Give the text that goes with so many pictures of one photo."""
    return PROMPT if pictures == 1 else f"{PREFACE} {PROMPT}"


def letter_category(token: str) -> Category | None:
    """Return the category whose letter_category is all that a token says; None if it says anything else."""
    return LETTERS.get(token.lstrip(LEADING_MARKS).rstrip())


def named_category(text: str) -> Category | None:
    """Return the category that an answer names, None if it names none or more than one."""
    named = set(_LETTER.findall(text))
    return LETTERS[named.pop()] if len(named) == 1 else None
