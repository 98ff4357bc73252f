"""What the owner asked for one photo, and what the settings say where the owner named nothing."""

from dataclasses import dataclass
from typing import Any

from storage.database.records import Job
from storage.enums import Category, Strength


@dataclass(frozen=True)
class Wish:
    """A photo that the owner wants mended, whatever the classifier and the rules think of it."""

    category: Category | None = None
    """The chain to take; None for the likeliest."""
    strength: Strength | None = None
    """None for the strength of the settings."""
    even_if_worse: bool = False
    """Whether a result that the guard refuses is kept for the owner's eyes."""

    @classmethod
    def of(cls, job: Job) -> "Wish | None":
        """Return the wish of a job; None if the owner asked for nothing."""
        if job.wish is None:
            return None
        category, strength = job.wish.get("category"), job.wish.get("strength")
        return cls(
            next((each for each in Category if each == category), None),
            next((each for each in Strength if each == strength), None),
            job.wish.get("even_if_worse") is True,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that is stored with a job: what the owner named."""
        named = {"category": self.category, "strength": self.strength}
        words = {name: word.value for name, word in named.items() if word}
        return words | ({"even_if_worse": True} if self.even_if_worse else {})

    def __str__(self) -> str:
        """Return what was named, in a few words."""
        parts = [f"as {self.category}"] if self.category else []
        parts += [str(self.strength)] if self.strength else []
        parts += ["even if it is worse"] if self.even_if_worse else []
        return ", ".join(parts)
