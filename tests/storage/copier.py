"""Write copies of photos at paths of a test's own; the product writes into files that it has made."""

from pathlib import Path

from storage import file_attributes, photos
from storage.formats.safe_open import Limits
from storage.metadata.provenance import Provenance
from storage.photos import Photo, Written


def write(photo: Photo, path: Path, origin: Provenance, limits: Limits) -> Written:
    """Write a photo at a path, as `photos.write` does."""
    with path.open("w+b") as file:
        return photos.write(photo, file, origin, limits)


def refreshed(
    source: Path, old_output: Path, path: Path, origin: Provenance, limits: Limits
) -> Written:
    """Write a result at a path with the source's present metadata, as `photos.refreshed` does."""
    with path.open("w+b") as file:
        return photos.refreshed(source, old_output, file, origin, limits)


def keep(source: Path, path: Path) -> None:
    """Give a file the source's attributes, as `file_attributes.keep` does."""
    with path.open("r+b") as file:
        file_attributes.keep(source, file)
