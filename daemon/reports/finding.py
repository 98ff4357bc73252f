"""What one check of `photomend doctor` found."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """The result of a check; the text says what was found and what to do."""

    subject: str
    well: bool
    text: str
