"""Patterns as in a `.gitignore`, matched in a time that is linear in the length of a name.

Guests of a gallery write some. Each `*` stands for the shortest text that lets the next fixed part
match, and no other is tried: whatever follows can match behind a later place, too, if at all.

Letters with accents match however they are written: as one character, or as two, as macOS does.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MAX_LETTERS = 1000
"""Maximum length of a pattern; a path has at most 4096 bytes."""
MAX_PARTS = 30
"""Maximum number of components of a pattern: each may be compared with each component of a path."""
_CLASSES = {
    "alpha": "a-zA-Z", "digit": "0-9", "alnum": "a-zA-Z0-9", "upper": "A-Z", "lower": "a-z",
    "space": r"\s", "blank": r" \t", "xdigit": "0-9a-fA-F", "cntrl": r"\x00-\x1f\x7f",
    "print": r"\x20-\x7e", "graph": r"\x21-\x7e", "punct": r"!-/:-@\[-`{-~",
}  # fmt: skip

Part = re.Pattern[str] | None
"""What one component of a path must be; None stands for any number of components."""


@dataclass(frozen=True)
class Pattern:
    """One line of a `.gitignore`."""

    text: str
    parts: tuple[Part, ...]
    includes: bool
    """It begins with an exclamation mark: what it matches is not ignored."""
    folders_only: bool

    def matches(self, path: str, *, is_folder: bool) -> bool:
        """Return whether the pattern names this entry itself; `path` is relative to its folder."""
        if self.folders_only and not is_folder:
            return False
        path = _composed(path)
        if len(self.parts) == 2 and self.parts[0] is None and self.parts[1] is not None:
            return self.parts[1].fullmatch(path.rpartition("/")[2]) is not None
        return _match(self.parts, path.split("/"))


def read(line: str) -> Pattern | None:
    """Read one line; return None for an empty one and for a comment.

    Raises:
        ValueError: it is no pattern, or is too long.

    """
    if line.startswith("#") or not (text := _stripped(line)):
        return None
    if len(text) > MAX_LETTERS:
        raise ValueError(f"it has more than {MAX_LETTERS} letters")
    body = _composed(text.removeprefix("!"))
    names = body.removesuffix("/").split("/")
    if not any(names):
        raise ValueError("it names nothing")
    if names[0] == "":
        names = names[1:]
    elif len(names) == 1:
        names = ["**", *names]
    if names[-1] == "**":
        names.append("*")
    if len(names) > MAX_PARTS:
        raise ValueError(f"it has more than {MAX_PARTS} components")
    parts = tuple(None if name == "**" else _compiled(name) for name in names)
    return Pattern(text, parts, includes=text.startswith("!"), folders_only=body.endswith("/"))


def last_match(patterns: Iterable[Pattern], path: str, *, is_folder: bool) -> Pattern | None:
    """Return the last pattern that matches, which decides; None if there is none."""
    found = (p for p in reversed(tuple(patterns)) if p.matches(path, is_folder=is_folder))
    return next(found, None)


def _composed(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _stripped(line: str) -> str:
    """Return a line without the spaces at its end, unless a backslash stands before them."""
    text = line.rstrip("\r\n").rstrip(" ")
    backslashes = len(text) - len(text.rstrip("\\"))
    return text + " " if backslashes % 2 and line.startswith(text + " ") else text


def _match(parts: tuple[Part, ...], names: list[str]) -> bool:
    """Match components; after the first `**`, each is followed by the nearest that fits."""
    part = name = 0
    back: tuple[int, int] | None = None
    while name < len(names):
        wanted = parts[part] if part < len(parts) else None
        if part < len(parts) and wanted is None:
            part, back = part + 1, (part + 1, name)
        elif wanted is not None and wanted.fullmatch(names[name]):
            part, name = part + 1, name + 1
        elif back is not None:
            part, name = back[0], back[1] + 1
            back = part, name
        else:
            return False
    return all(part is None for part in parts[part:])


def _compiled(name: str) -> re.Pattern[str]:
    """Compile one component: an atomic group for each `*`, so that none is tried again."""
    fixed = [""]
    for token in _tokens(name):
        if token == "*":
            fixed.append("")
        else:
            fixed[-1] += token
    if len(fixed) == 1:
        return re.compile(fixed[0], re.DOTALL)
    first, *inner, last = fixed
    middle = "".join(f"(?>.*?{each})" for each in inner if each)
    return re.compile(f"{first}{middle}.*{last}", re.DOTALL)


def _tokens(name: str) -> Iterator[str]:
    """Yield what one place of a component stands for as a regular expression, or `*`."""
    at = 0
    while at < len(name):
        letter = name[at]
        if letter == "[":
            at, token = _bracket(name, at + 1)
            yield token
            continue
        if letter == "\\":
            at += 1
            if at == len(name):
                raise ValueError("a backslash ends it")
            letter = re.escape(name[at])
        elif letter == "?":
            letter = "."
        elif letter != "*":
            letter = re.escape(letter)
        yield letter
        at += 1


def _bracket(name: str, start: int) -> tuple[int, str]:
    """Read a set of letters behind its `[`; return where it ends, and the set."""
    at, negated = start, name[start : start + 1] in ("!", "^")
    at += negated
    first, found = at, ""
    while at < len(name):
        if name[at] == "]" and at > first:
            return at + 1, (f"[^{found}]" if negated else f"[{found}]") if found else "(?!)"
        if name.startswith("[:", at) and (end := name.find(":]", at)) > 0:
            found += _CLASSES.get(name[at + 2 : end], "")
            at = end + 2
            continue
        low, at = _letter(name, at)
        high = low
        if name[at : at + 1] == "-" and name[at + 1 : at + 2] not in ("", "]"):
            high, at = _letter(name, at + 1)
        found += re.escape(low) + (f"-{re.escape(high)}" if low < high else "")
    raise ValueError("a [ without its ]")


def _letter(name: str, at: int) -> tuple[str, int]:
    """Return a letter of a set, and where the next one is; a backslash may stand before it."""
    at += name[at] == "\\"
    if at >= len(name):
        raise ValueError("a backslash ends it")
    return name[at], at + 1
