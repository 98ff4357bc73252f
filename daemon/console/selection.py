"""The photos that the owner asks for by path: files, and all that lies in folders."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from daemon.console import targets
from daemon.console.exit_codes import Unknown
from daemon.console.output import text
from daemon.console.targets import Place
from daemon.reports.explain import fingerprint, ignored_by, not_taken
from daemon.watching import ignore_rules
from storage.publishing import MARKER


def photos_in(paths: Iterable[Path]) -> Iterator[tuple[Place, str]]:
    """Yield each photo, where it lies, with its fingerprint.

    Raises:
        Unknown: a path is in no gallery, is not there, is ignored or is no photo.

    """
    for path in paths:
        here = targets.place(path)
        if here is None:
            raise Unknown(f"{text(path)} lies in no gallery; see `photomend explain {text(path)}`")
        gallery = targets.gallery(here.gallery)
        root = Path(os.path.realpath(gallery.path))
        found = root / here.source
        if not found.exists():
            raise Unknown(f"{text(path)} is not there")
        if here.source.parts and (reason := ignored_by(gallery, here.source)):
            raise Unknown(f"{text(path)} is never looked at: {text(reason)}")
        if found.is_dir():
            below = _below(root, here)
        elif reason := not_taken(found):
            raise Unknown(f"{text(path)} is {reason}")
        else:
            below = iter([here])
        for place in below:
            yield place, fingerprint(root / place.source)


def _below(root: Path, here: Place) -> Iterator[Place]:
    """Yield the photos in a folder and below it that are not ignored."""
    gallery = targets.gallery(here.gallery)
    for folder, folders, names in os.walk(root / here.source):
        relative = Path(folder).relative_to(root)
        if MARKER in names and relative.parts:
            folders.clear()
            continue
        folders[:] = [name for name in folders if not ignore_rules.by_name(name)]
        for name in names:
            source = relative / name
            if not_taken(root / source) is None and ignored_by(gallery, source) is None:
                yield Place(here.gallery, source)
