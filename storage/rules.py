"""Decide what the settings say of one photo: the first rule that matches it, then its gallery.

Every step of a job asks again, so a change of the rules also holds for what is queued.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from storage import patterns
from storage.enums import Allowed, Category, Publish, RuleMode, Strength
from storage.patterns import Pattern
from storage.settings_gallery import GallerySettings
from storage.settings_rules import Rule

PREFIX = "rule "
"""Begins the reason of a photo that a rule leaves alone."""


@dataclass(frozen=True)
class Ruling:
    """What the settings say of one photo."""

    gallery: GallerySettings
    rule: Rule | None = None
    """The rule that matches it; None if none does."""
    number: int = 0
    """The number of the rule in the settings, from 1."""

    @property
    def name(self) -> str | None:
        """The rule as it is named to the owner."""
        return None if self.rule is None else f'{PREFIX}{self.number} ("{self.rule.match}")'

    @property
    def why_off(self) -> str | None:
        """Why the photo is never mended; None if it may be."""
        is_off = self.rule is not None and self.rule.mode is RuleMode.OFF
        return f"{self.name} turns mending off" if is_off else None

    def why_not(self, category: Category) -> str | None:
        """Return why a photo of a category is not mended; None if it may be."""
        mended = self.rule.categories if self.rule is not None else ()
        if not mended or category in mended or category is Category.CLEAN:
            return None
        return f"{self.name} mends only {' and '.join(mended)}, and this is {category}"

    @property
    def strength(self) -> Strength:
        """How much of the change of the photo its result has."""
        of_rule = self.rule.strength if self.rule is not None else None
        return of_rule or self.gallery.strength

    @property
    def faces(self) -> bool:
        """Whether a network may change faces."""
        of_rule = self.rule.faces if self.rule is not None else None
        return self.gallery.faces if of_rule is None else of_rule

    @property
    def allowed(self) -> frozenset[Allowed]:
        """What is mended here and left alone elsewhere."""
        return frozenset(self.rule.allow if self.rule is not None else ())

    @property
    def waits(self) -> bool:
        """Whether a result waits until the owner keeps it."""
        asks = self.rule is not None and self.rule.mode is RuleMode.ASK
        of_rule = self.rule.publish if self.rule is not None else None
        return asks or (of_rule or self.gallery.publish) is Publish.AFTER_REVIEW


def ruling(rules: Iterable[Rule], name: str, gallery: GallerySettings, source: Path) -> Ruling:
    """Return what holds for the photo `source` of the gallery `name`, relative to its folder."""
    path = "/".join(source.parts)
    for number, rule in enumerate(rules, 1):
        if (not rule.galleries or name in rule.galleries) and _matches(rule.match, path):
            return Ruling(gallery, rule, number)
    return Ruling(gallery)


def _matches(match: str, path: str) -> bool:
    """Return whether a pattern matches a file, or a folder that it is in."""
    pattern, folder = _pattern(match), path.rpartition("/")[0]
    if pattern.matches(path, is_folder=False):
        return True
    while folder:
        if pattern.matches(folder, is_folder=True):
            return True
        folder = folder.rpartition("/")[0]
    return False


@lru_cache(maxsize=1024)
def _pattern(match: str) -> Pattern:
    found = patterns.read(match)
    assert found is not None, "the settings take no other"
    return found
