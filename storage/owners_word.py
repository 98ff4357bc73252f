"""What the owner said of photos, in a file beside their results, so that it survives a lost database.

Each line is a JSON object, and of each photo the last one holds. Others may write into the output, so
no line is trusted: it can keep a photo from being mended, mark its result as kept, or name how it is
mended, and nothing else.
"""

import errno
import json
import logging
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from storage import atomic_files, beneath, fingerprints
from storage.beneath import Beneath
from storage.enums import Category, Review, Strength
from storage.text import printable
from storage.wishes import Wish

T = TypeVar("T", bound=StrEnum)

log = logging.getLogger(__name__)

FILE = ".photomend-decisions.jsonl"
"""Name of the file in an output root."""
MOST_BYTES = 1 << 26
"""Number of bytes that are read, enough for 300,000 photos."""
LONGEST_LINE = 20_000
"""Maximum length of a line in bytes: longer than that of any path."""
SPARE_LINES = 1000
"""Number of lines beside those that hold from which the file is written anew."""
_UNUSABLE = (errno.EACCES, errno.ELOOP, errno.ENXIO, errno.EISDIR)
"""Errors of what has the file's name and cannot be used, such as a link."""
_CHAINS = tuple(category for category in Category if category is not Category.CLEAN)
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Word:
    """What the owner said of a photo."""

    review: Review | None = None
    """KEPT or REJECTED."""
    wish: Wish | None = None
    content_hash: str | None = None
    """The content hash of the photo of which it was said; None if it was not known."""
    result: str | None = None
    """The SHA-256 of the rejected result, which may be in the trash."""

    def is_of(self, content_hash: str | None) -> bool:
        """Return whether it was said of a photo with this content."""
        return self.content_hash in (None, content_hash)


@dataclass(frozen=True)
class Words:
    """What a file holds."""

    by_photo: Mapping[Path, Word]
    lines: int = 0
    """Number of its lines, whether they hold or not."""
    whole: bool = True
    """Whether all of the file was read."""


_NOTHING = Words({})
_read: dict[Path, tuple[str, Words]] = {}
"""What was read last from each output root, with the fingerprint of the file."""
_unusable: set[Path] = set()
"""The output roots of which was logged that their file cannot be used."""


def read(root: Path) -> Words:
    """Return what the owner said of the photos of a gallery, by their paths in it.

    Raises:
        OSError: the disk or the share does not give the file.

    """
    try:
        with beneath.folder(root, "") as inside, beneath.open_in(inside, FILE) as file:
            found = fingerprints.of(os.fstat(file.fileno()))
            if root not in _read or _read[root][0] != found:
                _read[root] = found, _parsed(root / FILE, file.read(MOST_BYTES + 1))
            return _read[root][1]
    except (FileNotFoundError, NotADirectoryError):
        return _NOTHING
    except OSError as error:
        if error.errno not in _UNUSABLE:
            raise
        if root not in _unusable:
            _unusable.add(root)
            log.warning("%s is not used: %s", printable(root / FILE), error.strerror)
        return _NOTHING


def append(root: Path, words: Mapping[Path, Word | None]) -> None:
    """Write what the owner says of photos now; None if nothing any more.

    Raises:
        OSError: the file cannot be written.

    """
    lines = (_line(photo, word) for photo, word in words.items())
    atomic_files.append(Beneath(root, Path(FILE)), b"".join(lines))


def compact(root: Path) -> None:
    """Write the file anew if most of its lines do not hold any more.

    Raises:
        OSError: it cannot be read or written.

    """
    found = read(root)
    if found.whole and found.lines <= 2 * len(found.by_photo) + SPARE_LINES:
        return
    lines = (_line(photo, word) for photo, word in found.by_photo.items())
    atomic_files.write(Beneath(root, Path(FILE)), b"".join(lines))


def _line(photo: Path, word: Word | None) -> bytes:
    said: dict[str, Any] = {"photo": str(photo)}
    if word is not None:
        named = {
            "content_hash": word.content_hash,
            "review": word.review and word.review.value,
            "result": word.result,
            "wish": None if word.wish is None else word.wish.to_json(),
        }
        said |= {name: value for name, value in named.items() if value is not None}
    return json.dumps(said).encode() + b"\n"


def _parsed(file: Path, content: bytes) -> Words:
    """Return what the lines of a file say; damaged ones are skipped."""
    whole = len(content) <= MOST_BYTES
    lines = content[:MOST_BYTES].splitlines()
    found: dict[Path, Word] = {}
    damaged = 0
    for line in filter(None, lines):
        try:
            photo, word = _said(line)
        except (ValueError, TypeError, RecursionError):
            damaged += 1
            continue
        found.pop(photo, None)
        if word is not None:
            found[photo] = word
    if damaged or not whole:
        text = f"{damaged} lines are damaged" if whole else f"only {MOST_BYTES:,} bytes are used"
        log.warning("%s: %s, and others hold", printable(file), text)
    return Words(found, len(lines), whole)


def _said(line: bytes) -> tuple[Path, Word | None]:
    """Return the photo of a line and what it says; whatever it has beside that is left out.

    Raises:
        ValueError, TypeError, RecursionError: it is damaged.

    """
    if len(line) > LONGEST_LINE:
        raise ValueError("it is too long")
    said = json.loads(line)
    if not isinstance(said, dict) or not isinstance(photo := said.get("photo"), str):
        raise ValueError("it names no photo")
    os.fsencode(photo)  # a path may hold odd bytes, but no other letters that no path has
    wish = said.get("wish")
    word = Word(
        review=_member({Review.KEPT, Review.REJECTED}, said.get("review")),
        wish=_wish(wish) if isinstance(wish, dict) else None,
        content_hash=_hash(said.get("content_hash")),
        result=_hash(said.get("result")),
    )
    return Path(photo), word if word.review or word.wish is not None else None


def _wish(named: Mapping[str, object]) -> Wish:
    return Wish(
        _member(_CHAINS, named.get("category")),
        _member(tuple(Strength), named.get("strength")),
    )


def _member(allowed: Collection[T], value: object) -> T | None:
    return next((each for each in allowed if each == value), None)


def _hash(value: object) -> str | None:
    """Return a SHA-256; None if there is none.

    Raises:
        ValueError: it is something else.

    """
    if value is None:
        return None
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        raise ValueError("it holds no hash")
    return value
