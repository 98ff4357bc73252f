"""Whether a gallery is online, and whether a photo is gone: one rule for watcher and worker."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from storage.beneath import Beneath
from storage.filesystems import identity, location, mount_of
from storage.ignored_names import is_ignored
from storage.settings_gallery import GallerySettings
from storage.text import command, counted, printable

SAMPLE = 20
"""Number of known photos that are looked up in a folder that may be the wrong one."""

Sample = Callable[[int], Sequence[Path]]
"""Returns at most that many photos that should be in the gallery."""


def why_offline(
    path: Path, mount_point: Path | None, known_as: str | None, sample: Sample
) -> str | None:
    """Return why a gallery is offline and what to do; None if it is online.

    `known_as` is its recorded identity. `sample` is called only when something is odd.
    """
    root = os.path.realpath(path)
    try:
        if mount_point is not None and not _is_mounted(mount_point):
            return (
                f"nothing is mounted at {mount_point} (mount_point); mount it: "
                f"{command('mount', mount_point)}"
            )
        with os.scandir(root) as entries:
            empty = all(is_ignored(entry.name) for entry in entries)
        if not empty and identity(root) == known_as:
            return None
        return _why_strange(path, root, empty=empty, known=sample(SAMPLE))
    except FileNotFoundError:
        return (
            f"the folder {path} is not there; is its disk or share mounted? Look: "
            f"{command('findmnt', '-T', path)}"
        )
    except OSError as error:
        look = command("ls", "-ld", path)
        return f"the folder {path} cannot be read ({error.strerror}); look: {look}"


def recognisable(root: str) -> dict[str, Any]:
    """Return the columns of a gallery's row by which its folder is recognised later."""
    where = location(Path(root))
    return {
        "identity": identity(root), "real_root": where.path, "device": where.device,
        "device_path": where.device_path,
    }  # fmt: skip


def is_gone(photo: Path, gallery: GallerySettings, known_as: str | None, sample: Sample) -> bool:
    """Return whether a photo, relative to its gallery, is missing though the gallery is online.

    One that lies behind a symbolic link is missing.
    """
    if Beneath(gallery.path, photo).exists():
        return False
    return why_offline(gallery.path, gallery.mount_point, known_as, sample) is None


def _why_strange(path: Path, root: str, *, empty: bool, known: Sequence[Path]) -> str | None:
    if not known:
        return None
    if empty:
        return (
            f"the folder {path} is empty, but photos are known in it; is its disk or share "
            f"mounted? Look: {command('findmnt', '-T', path)}. If it was emptied on purpose, it goes "
            f"on with the first file, or after `{command('photomend', 'accept', of=path)}`"
        )
    found = sum(Beneath(Path(root), photo).exists() for photo in known)
    if 2 * found >= len(known):
        return None
    mount = mount_of(root)
    return (
        f"the folder {path} is now on {mount.source} ({mount.kind}) and holds {found} of "
        f"{counted(len(known), 'photo')} looked for, such as {printable(known[0])}; is the right disk or "
        f"share mounted? Look: {command('findmnt', '-T', path)}. If it is the right one: "
        f"`{command('photomend', 'accept', of=path)}`"
    )


def _is_mounted(point: Path) -> bool:
    found = os.path.realpath(point)
    os.stat(found)  # noqa: PTH116  - an automounter mounts now
    return mount_of(found).point == found
