"""The prompt of a vision-language net, and the letters of its answer."""

import re

from storage.enums import Category

PROMPT = (
    "Analyze this image and determine the type of image degradation it exhibits. Categorize it "
    "into one of the following degradation types: A. Super-resolution degradation (including "
    "noise, blur, JPEG compression); B. Reflection artifacts; C. Motion blur; D. No visible "
    "degradation (high-quality image). Provide a simple result, i.e. A, B, C, or D."
)
"""The prompt of section III.A of the paper, word for word."""
PREFACE = (
    "The images all show one photo. The first is the whole photo made smaller; the others are "
    "parts of it in its own pixels, which show noise, compression and blur as they are. Take them "
    "together as one image."
)
"""Text before the paper's prompt if a photo is shown by several pictures; not from the paper."""
LETTERS = {
    "A": Category.SUPER_RESOLUTION,
    "B": Category.REFLECTION,
    "C": Category.MOTION_BLUR,
    "D": Category.CLEAN,
}
LEADING_MARKS = " \t\r\n*\"'`(["
"""Characters that may precede the letter in a token."""

_ARTICLE = r"A(?= (?!or\b|and\b)[a-z])"
_LETTER = re.compile(rf"(?<![\w'])(?!{_ARTICLE})[A-D](?![\w'])")


def question(pictures: int) -> str:
    """Return the text for a number of pictures of one photo."""
    return PROMPT if pictures == 1 else f"{PREFACE} {PROMPT}"


def token_category(token: str) -> Category | None:
    """Return the category of a token that is one letter; None for any other token."""
    return LETTERS.get(token.lstrip(LEADING_MARKS).rstrip())


def named_category(text: str) -> Category | None:
    """Return the category that a text names; None if it names none or several."""
    named = set(_LETTER.findall(text))
    return LETTERS[named.pop()] if len(named) == 1 else None
