"""Galleries and outputs lie apart: no output in a gallery, no gallery in another, one output for each.

Settings are compared as they are written, because reading them must touch no share. Folders are
compared by what they are when their gallery goes online, and before a result is written.
"""

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from storage.filesystems import Location
from storage.ignored_names import is_ignored
from storage.settings_gallery import BESIDE, GallerySettings
from storage.text import command

if TYPE_CHECKING:  # whoever reads settings need not import SQLAlchemy
    from storage.database.records import Gallery


def entangled_settings(galleries: Mapping[str, GallerySettings]) -> str | None:
    """Return which paths of the settings do not lie apart, as they are written; None if all do."""
    for name, gallery in galleries.items():
        for other, watched in galleries.items():
            if _inside(gallery.output_root, watched.path) and not (
                name == other and gallery.name in BESIDE
            ):
                return (
                    f"the output {gallery.output_root} of the gallery {name} lies inside "
                    f"the gallery {other} ({watched.path}); set output to a folder outside"
                )
            if name == other:
                continue
            if name < other and _same(gallery.path, watched.path):
                return f"the galleries {name} and {other} have the same path; remove one"
            if _inside(gallery.path, watched.path) and not _same(gallery.path, watched.path):
                return (
                    f"the gallery {name} ({gallery.path}) lies inside the gallery {other} "
                    f"({watched.path}); remove one"
                )
            if _inside(gallery.output_root, watched.output_root):
                return (
                    f"the output {gallery.output_root} of the gallery {name} is or lies inside the "
                    f"output of the gallery {other}; set output to a folder of its own"
                )
    return None


def state_among_photos(state: Path, galleries: Mapping[str, GallerySettings]) -> str | None:
    """Return in which gallery the state folder lies, as it is written; None if in none.

    It may lie behind a name that galleries always leave out, such as `.local` of a home folder.
    """
    for name, gallery in galleries.items():
        if not _inside(state, gallery.path):
            continue
        if not any(map(is_ignored, _written(state).relative_to(_written(gallery.path)).parts)):
            return f"state_dir {state} lies inside the gallery {name} ({gallery.path}); set it to a folder outside"
    return None


def entangled_gallery(
    name: str, here: Location, others: "Iterable[Gallery]", *, active: Collection[str], is_new: bool
) -> str | None:
    """Return why a gallery at `here` would record photos of another gallery again; None if not.

    `others` are all other galleries recorded on this machine, `active` those of the settings. A
    gallery that left them counts only if this one `is_new`.
    """
    for other in others:
        there = _location(other, now=other.name in active and other.online)
        if there is None or not (is_new if other.name not in active else other.online):
            continue
        inside, around = here.is_inside(there), there.is_inside(here)
        if other.name in active and inside and not (around and name < other.name):
            return (
                f"its folder {here.path} is in the gallery {other.name} ({there.path}), by a "
                "symbolic link or a bind mount; remove one of them from the settings"
            )
        if other.name not in active and inside and around:
            return (
                f"its folder {here.path} is recorded as the gallery {other.name}; to give these "
                f"records the name {name}: `{command('photomend', 'accept', of=name)}`; to begin "
                f"anew: `{command('photomend', 'forget', of=other.name)}`"
            )
        if other.name not in active and (inside or around):
            return (
                f"its folder {here.path} and that of the gallery {other.name} ({there.path}) lie in "
                f"each other, so photos would be recorded twice; if {other.name} is not used any "
                f"more: `{command('photomend', 'forget', of=other.name)}`"
            )
    return None


def entangled_output(here: Location, galleries: "Iterable[Gallery]") -> str | None:
    """Return in which of the galleries the output at `here` lies; None if in none."""
    for gallery in galleries:
        there = _location(gallery, now=gallery.online)
        if there is not None and here.is_inside(there):
            return (
                f"the output folder {here.path} lies inside the gallery {gallery.name} "
                f"({there.path}); set output to a folder outside"
            )
    return None


def _location(gallery: "Gallery", *, now: bool) -> Location | None:
    """Return where the folder of a gallery was when it was last online; by its path only unless `now`.

    Later another disk may have the device's number.
    """
    if gallery.real_root is None or gallery.device_path is None:
        return None
    device = gallery.device if now else None
    return Location(gallery.real_root, device or "", gallery.device_path)


def _inside(path: Path, other: Path) -> bool:
    return _written(path).is_relative_to(_written(other))


def _same(path: Path, other: Path) -> bool:
    return _written(path) == _written(other)


def _written(path: Path) -> Path:
    return Path(os.path.normpath(path.absolute()))
