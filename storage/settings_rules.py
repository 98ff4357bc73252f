"""The settings of a rule, `[[rules]]`: what holds for the photos that its pattern matches."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated

from storage import patterns
from storage.enums import Allowed, Category, Publish, RuleMode, Strength
from storage.settings_values import Check


def _is_pattern(text: str) -> bool:
    try:
        pattern = patterns.read(text)
    except ValueError:
        return False
    return pattern is not None and not pattern.includes


Match = Annotated[
    str,
    Check(
        _is_pattern,
        'a pattern as in .gitignore, like "2019/" or "*.png", without a ! or # at its start (\\# is one)',
    ),
]
Categories = Annotated[
    tuple[Category, ...],
    Check(lambda named: Category.CLEAN not in named, "categories of photos that are mended"),
]


@dataclass(frozen=True)
class Rule:
    """What holds for the photos that a pattern matches; None leaves it to the gallery."""

    match: Match
    """The pattern, in the syntax of `.gitignore`, relative to the gallery."""
    galleries: tuple[str, ...] = ()
    """The galleries in which the rule holds; in all if there are none."""
    mode: RuleMode = RuleMode.ON
    """`off`: never mended. `ask`: the result waits until you keep it."""
    categories: Categories = ()
    """The categories that are mended; all if there are none."""
    strength: Strength | None = None
    """How much of the change of a photo its result has."""
    faces: bool | None = None
    """Whether a network may change faces. If true, `[paper]` decides."""
    allow: tuple[Allowed, ...] = ()
    """Photos that are mended here and left alone elsewhere."""
    publish: Publish | None = None
    """When a result appears in the output folder."""


def unknown_gallery(rules: tuple[Rule, ...], known: Collection[str]) -> str | None:
    """Return which rule names a gallery that is not known; None if none does.

    A gallery that only `up FOLDER` runs is named like its folder, and may be unknown here.
    """
    for number, rule in enumerate(rules, 1):
        for name in rule.galleries:
            if name not in known and not os.path.isabs(name):  # noqa: PTH117
                there = ", ".join(sorted(known)) or "no galleries"
                return f"[[rules]] {number}: there is no gallery {name!r}; there are {there}"
    return None
