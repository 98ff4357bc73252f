"""Find the photos that `photomend add` names: files, and all photos below folders."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from daemon.console import targets
from daemon.console.exit_codes import Unknown
from daemon.console.targets import Place
from daemon.watching import ignore_rules, listing
from storage import fingerprints
from storage.beneath import Beneath
from storage.text import command, printable


def photos_in(paths: Iterable[Path]) -> Iterator[tuple[Place, str]]:
    """Yield the place and the fingerprint of each photo.

    Raises:
        Unknown: a path is in no gallery, does not exist, is ignored or is not a photo.

    """
    for path in paths:
        place = targets.place(path)
        if place is None:
            raise Unknown(
                f"{printable(path)} is in no gallery; see `{command('photomend', 'explain', of=path)}`"
            )
        gallery = targets.gallery(place.gallery)
        found = Beneath(Path(os.path.realpath(gallery.path)), place.source)
        if not found.exists():
            raise Unknown(f"{printable(path)} does not exist")
        if reason := ignore_rules.why_ignored(gallery, place.source):
            raise Unknown(f"{printable(path)} is ignored: {printable(reason)}")
        if found.path.is_dir():
            yield from _below(place)
        elif reason := ignore_rules.why_no_photo(found.path):
            raise Unknown(f"{printable(path)} is {reason}")
        else:
            yield place, fingerprints.of(found.status())


def _below(folder: Place) -> Iterator[tuple[Place, str]]:
    """Yield the photos in a folder and below it."""
    below = "/".join(folder.source.parts)
    for source, fingerprint in listing.photos(targets.gallery(folder.gallery), below):
        yield Place(folder.gallery, source), fingerprint
