"""The names that the sidecars of a photo may have."""

from pathlib import Path

from storage import beneath
from storage.beneath import Beneath

SUFFIXES = (".xmp", ".XMP")
OF_STEMS = tuple(f"stem{suffix}" for suffix in SUFFIXES)
"""The forms of the names that photos share which differ in their suffix only."""


def of(photo: Path | Beneath) -> dict[str, Beneath]:
    """Return the names that the sidecars of a photo may have, by their forms."""
    photo = beneath.at(photo)
    return {
        form: named
        for suffix in SUFFIXES
        for form, named in (
            (f"name{suffix}", photo.with_name(photo.name + suffix)),
            (f"stem{suffix}", photo.with_suffix(suffix)),
        )
    }
