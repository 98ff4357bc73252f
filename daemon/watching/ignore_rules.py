"""Rules for what in a gallery is ignored: names, patterns of the settings and of files, links.

The scanner asks them for each entry; `photomend explain` and `add` ask them for one path. Whoever may
write into the gallery can add to what the settings ignore, and undo none of it.
"""

import logging
import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from storage import patterns
from storage.beneath import Beneath
from storage.formats.detect import is_photo_name
from storage.ignored_names import is_ignored
from storage.patterns import Pattern
from storage.settings_gallery import BESIDE, GallerySettings
from storage.text import printable

log = logging.getLogger(__name__)

IGNORE_FILE = ".photomendignore"
"""Name of the files with gitignore patterns for their folder and all folders below it."""
IGNORE_FILE_BYTES = 64 * 1024
"""Maximum number of bytes that are read of an ignore file."""
MAX_PATTERNS = 1000
"""Maximum number of patterns of ignore files that hold in one folder: each name is compared with all."""
MAX_WARNINGS = 100
"""Maximum number of warnings about ignore files; each is logged once."""
SHOWN_LETTERS = 100
"""Number of letters of a line that are logged."""
_warned: set[str] = set()


class Patterns(NamedTuple):
    """Gitignore patterns from one place."""

    folder: str
    """The patterns are relative to this folder of the gallery."""
    origin: str
    """The place to name to the owner: "the settings", or the path of an ignore file."""
    text: str
    """Its lines."""
    spec: tuple[Pattern, ...]


@dataclass(frozen=True)
class Rules:
    """The rules for the entries of one folder."""

    settings: Patterns | None = None
    """They are asked first, and what they ignore is ignored."""
    files: tuple[Patterns, ...] = ()
    """Those of the folder's own ignore file are the last."""
    result_names: re.Pattern[str] | None = None
    """Names of our own results, where they lie beside the originals."""

    def why_ignored(self, folder: str, name: str, *, is_folder: bool) -> str | None:
        """Return why the entry `name` of `folder` is ignored; None if it is not."""
        if is_ignored(name):
            why = "has a name that is always ignored: hidden, unfinished or another program's"
        elif not is_folder and self.result_names and self.result_names.fullmatch(name):
            why = "is named like a result of photomend"
        elif (self.settings or self.files) and (
            pattern := self._pattern(folder, name, is_folder=is_folder)
        ):
            why = f"is ignored by {pattern}"
        else:
            return None
        return f"the folder {name} {why}" if is_folder else f"{name} {why}"

    def with_file_of(self, folder: str, text: str) -> "Rules":
        """Return the rules with the patterns of `text`, which the ignore file of `folder` holds."""
        if not text:
            return self
        origin = str(Path(folder, IGNORE_FILE))
        spec = _spec(text, origin, MAX_PATTERNS - sum(len(each.spec) for each in self.files))
        return replace(self, files=(*self.files, Patterns(folder, origin, text, spec)))

    def file_of(self, folder: str) -> str:
        """Return the text of the ignore file of `folder`, whose rules these are; "" if none."""
        last = self.files[-1] if self.files else None
        own = last is not None and last.origin == str(Path(folder, IGNORE_FILE))
        return last.text if last and own else ""

    def ignore_the_same(self, other: "Rules | str") -> bool:
        """Return whether these rules were read from the same texts as others."""
        if isinstance(other, str) or self.result_names != other.result_names:
            return False
        if (self.settings and self.settings.text) != (other.settings and other.settings.text):
            return False
        return [p[:3] for p in self.files] == [p[:3] for p in other.files]

    def _pattern(self, folder: str, name: str, *, is_folder: bool) -> str | None:
        """Return the pattern that ignores an entry and its origin.

        If the settings do not ignore it, the innermost match of the ignore files decides.
        """
        path = f"{folder}/{name}" if folder else name
        if self.settings is not None:
            found = patterns.last_match(self.settings.spec, path, is_folder=is_folder)
            if found is not None and not found.includes:
                return f'"{found.text}" in {self.settings.origin}'
        for outer, origin, _, spec in reversed(self.files):
            below = path[len(outer) + 1 :] if outer else path
            if (found := patterns.last_match(spec, below, is_folder=is_folder)) is not None:
                return None if found.includes else f'"{found.text}" in {origin}'
        return None


class FolderRules:
    """The rules of each folder of a gallery, read when they are first asked for."""

    def __init__(self, root: str, rules: Rules, files: Mapping[str, str] | None = None) -> None:
        """Read ignore files below `root`, or take the texts that `files` holds by folder."""
        self._root = root
        self._rules = rules
        self._files = files
        self._cache: dict[str, Rules | str] = {}

    def forget(self) -> None:
        """Read all ignore files again when they are next asked for."""
        self._cache.clear()

    def of(self, folder: str) -> Rules | str:
        """Return the rules in `folder`, relative to the gallery, or why the folder is ignored."""
        around, unread = folder, list[str]()
        while around not in self._cache:
            unread.append(around)
            if not around:
                break
            around = around.rpartition("/")[0]
        for each in reversed(unread):  # no recursion: a guest can nest thousands of folders
            self._cache[each] = self._read(each)
        return self._cache[folder]

    def why_ignored(self, folder: str, name: str) -> str | None:
        """Return why the file `name` of `folder` is ignored; None if it is not."""
        rules = self.of(folder)
        return rules if isinstance(rules, str) else rules.why_ignored(folder, name, is_folder=False)

    def _text(self, folder: str) -> str:
        if self._files is not None:
            return self._files.get(folder, "")
        return _read(Beneath(Path(self._root), Path(folder, IGNORE_FILE)))

    def _read(self, folder: str) -> Rules | str:
        """Read the rules of a folder; those of the folder that it is in are known."""
        if not folder:
            return self._rules.with_file_of("", self._text(""))
        parent, _, name = folder.rpartition("/")
        rules = self._cache[parent]
        if isinstance(rules, str):
            return rules
        if why := rules.why_ignored(parent, name, is_folder=True):
            return why
        path = f"{self._root}/{folder}"
        if self._files is None and os.path.islink(path):  # noqa: PTH114
            return f"the folder {name} is a symbolic link, which is not followed"
        return rules.with_file_of(folder, self._text(folder))


def gallery_rules(gallery: GallerySettings) -> Rules:
    """Return the rules that the settings of a gallery set for all its folders."""
    return _rules(gallery.ignore, gallery.template if gallery.name in BESIDE else None)


def recorded(gallery: GallerySettings, files: Mapping[str, str]) -> dict[str, Any]:
    """Return the rules as JSON: the settings, and the texts of ignore files by folder.

    Texts and folders are bytes, written as Latin-1: no database takes surrogate escapes.
    """
    template = gallery.template if gallery.name in BESIDE else None
    texts = {_as_latin(folder): _as_latin(text) for folder, text in files.items()}
    return {"ignore": list(gallery.ignore), "beside": template, "files": texts}


def from_record(root: str, record: Mapping[str, Any]) -> FolderRules:
    """Return the rules that `recorded` made."""
    texts = {_from_latin(folder): _from_latin(text) for folder, text in record["files"].items()}
    return FolderRules(root, _rules(record["ignore"], record["beside"]), texts)


def _rules(ignore: Iterable[str], beside: str | None) -> Rules:
    """Return the rules of patterns, and of results with the template `beside` in the gallery."""
    text = "\n".join(ignore)
    spec = _spec(text, "the settings", len(text))
    settings = Patterns("", "the settings", text, spec) if text else None
    if beside is None:
        return Rules(settings)
    names = re.escape(beside)
    for field in ("{stem}", "{ext}"):
        names = names.replace(re.escape(field), ".+")
    return Rules(settings, result_names=re.compile(names, re.DOTALL))


def _as_latin(text: str) -> str:
    return os.fsencode(text).decode("latin-1").replace("\0", "\n")


def _from_latin(text: str) -> str:
    return os.fsdecode(text.encode("latin-1"))


def why_ignored(gallery: GallerySettings, source: Path) -> str | None:
    """Return the rule by which the scanner ignores the file or folder; None if it does not."""
    root = os.path.realpath(gallery.path)
    folders, path = FolderRules(root, gallery_rules(gallery)), "/".join(source.parts)
    if Path(root, source).is_dir():
        found = folders.of(path)
        return found if isinstance(found, str) else None
    folder, _, name = path.rpartition("/")
    return folders.why_ignored(folder, name)


def why_no_photo(path: Path) -> str | None:
    """Return what an existing entry is, if not a photo; None if the scanner takes it as one."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return "a symbolic link, which is not followed"
    if not stat.S_ISREG(mode):
        return "no file" if not stat.S_ISDIR(mode) else "a folder"
    return None if is_photo_name(path.name) else "not named like a photo"


@lru_cache(maxsize=128)
def _spec(text: str, origin: str, most: int) -> tuple[Pattern, ...]:
    """Parse gitignore patterns, at most `most`; log and leave out what is not used."""
    good: list[Pattern] = []
    for line in text.splitlines():
        try:
            if (pattern := patterns.read(line)) is None:
                continue
        except ValueError as error:
            _warn(f"{line[:SHOWN_LETTERS]} in {origin} is no pattern and is not used: {error}")
            continue
        if len(good) >= most:
            _warn(f"patterns of {origin} are not used: more than {MAX_PATTERNS:,} would hold there")
            break
        good.append(pattern)
    return tuple(good)


def _read(place: Beneath) -> str:
    """Return the text of an ignore file; "" if it is missing, not a regular file or behind a link."""
    try:
        file = place.open()
    except OSError:
        return ""
    try:
        with file:
            found = file.read(IGNORE_FILE_BYTES + 1)
    except OSError as error:
        _warn(f"{place} cannot be read: {error.strerror}")
        return ""
    if len(found) > IGNORE_FILE_BYTES:
        _warn(f"{place} has more than {IGNORE_FILE_BYTES:,} bytes; what follows them is not used")
        found = found[:IGNORE_FILE_BYTES].rpartition(b"\n")[0]
    return os.fsdecode(found)


def _warn(text: str) -> None:
    """Log a text about an ignore file, once: the files are read with each scan."""
    if text not in _warned and len(_warned) < MAX_WARNINGS:
        _warned.add(text)
        log.warning("%s", printable(text))
