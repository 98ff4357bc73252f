"""What in a gallery is never looked at: others' folders, unfinished files, the owner's patterns."""

import logging
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass

from pathspec import GitIgnoreSpec

from storage.settings import BESIDE, GallerySettings

log = logging.getLogger(__name__)

IGNORE_FILE = ".photomendignore"
"""Patterns in gitignore syntax for the folder it lies in and all below."""
IGNORE_FILE_BYTES = 64 * 1024
"""No more than this is read of it."""

_NAMES = frozenset(
    {
        "@eadir", "@recycle", "@recently-snapshot", "@sharebin", "@tmp", "#recycle", "#snapshot",
        "~snapshot", "$recycle.bin", "system volume information", "lost+found",
    }
)  # fmt: skip
_UNFINISHED = (
    ".part", ".partial", ".tmp", ".temp", ".crdownload", ".download", ".filepart", ".opdownload",
    ".aria2", ".!qb", ".!ut", ".bts", "~",
)  # fmt: skip


def by_name(name: str) -> bool:
    """Return whether nobody wants photos from a file or folder of this name.

    A dot in front hides AppleDouble files, trash, snapshots, Syncthing's folders and our own
    temporary files.
    """
    lower = name.lower()
    return lower.startswith((".", "~$")) or lower in _NAMES or lower.endswith(_UNFINISHED)


@dataclass(frozen=True)
class Rules:
    """The patterns that hold in a folder, those of its own ignore file last."""

    specs: tuple[tuple[str, GitIgnoreSpec], ...] = ()
    """Each with the folder, relative to the gallery, that its patterns are relative to."""
    made: re.Pattern[str] | None = None
    """Names of our own results, where they lie beside the originals."""

    def ignore(self, folder: str, name: str, *, is_folder: bool) -> bool:
        """Return whether the entry is ignored; the innermost pattern that matches decides."""
        if not is_folder and self.made is not None and self.made.fullmatch(name):
            return True
        path = f"{folder}/{name}" if folder else name
        for inside, spec in reversed(self.specs):
            below = path[len(inside) + 1 :] if inside else path
            verdict = spec.check_file(below + "/" if is_folder else below).include
            if verdict is not None:
                return verdict
        return False

    def inside(self, root: str, folder: str) -> "Rules":
        """Return the rules with those that the folder's own ignore file adds."""
        text = _read(f"{root}/{folder}/{IGNORE_FILE}")
        if not text:
            return self
        return Rules((*self.specs, (folder, _spec(text.splitlines()))), self.made)


def rules(gallery: GallerySettings) -> Rules:
    """Return the rules that hold in all of a gallery."""
    specs = (("", _spec(gallery.ignore)),) if gallery.ignore else ()
    if gallery.name not in BESIDE:
        return Rules(specs)
    pattern = re.escape(gallery.template)
    for field in ("{stem}", "{ext}"):
        pattern = pattern.replace(re.escape(field), ".+")
    return Rules(specs, re.compile(pattern, re.DOTALL))


def _spec(lines: Iterable[str]) -> GitIgnoreSpec:
    """Understand the lines, and leave out what is no pattern."""
    good = []
    for line in lines:
        try:
            GitIgnoreSpec.from_lines([line])
            good.append(line)
        except ValueError as error:
            log.warning("%a is no pattern and is not used: %s", line, error)
    return GitIgnoreSpec.from_lines(good)


def _read(path: str) -> str:
    """Return the text of an ignore file, "" if there is none; nothing but a plain file is one."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return ""
        return os.fsdecode(os.read(file, IGNORE_FILE_BYTES))
    except OSError as error:
        log.warning("%r cannot be read: %s", os.fsencode(path), error)
        return ""
    finally:
        os.close(file)
