"""Show texts and paths to people, and shorten names: names of files may hold any bytes."""

import os
import shlex
import unicodedata

JOINER = "\u200d"
"""Joins several signs to one, such as the persons of a family."""


def printable(value: object) -> str:
    r"""Return a value as text that any terminal can show on one line.

    Bytes of a file name that are not UTF-8 are shown as \xe9, control characters as \n or \x1b.
    """
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in str(value))


def counted(count: int, noun: str) -> str:
    """Return a number of things with the noun, as in `1 photo` or `2,000 photos`."""
    return f"1 {noun}" if count == 1 else f"{count:,} {noun}s"


def command(*words: object, of: object = None) -> str:
    r"""Return a command line that can be copied into a shell, on one line that any terminal can show.

    `of` is the name or path that the command is about; it may begin with a hyphen like an option.
    A word with characters that `printable` escapes is written as bash, zsh and ksh read it: $'caf\xe9'.
    """
    if of is not None:
        words += ("--", of) if str(of).startswith("-") else (of,)
    return " ".join(_quoted(str(word)) for word in words)


def _quoted(word: str) -> str:
    if word == printable(word):
        return shlex.quote(word)
    letters = (
        letter.replace("\\", "\\\\").replace("'", "\\'")
        if letter.isprintable()
        else "".join(f"\\x{byte:02x}" for byte in os.fsencode(letter))
        for letter in word
    )
    return f"$'{''.join(letters)}'"


def shortened(text: str, most_bytes: int) -> str:
    """Return as many letters from the start of a file name as fit; accents stay with their letters."""
    end = len(text)
    while len(os.fsencode(text[:end])) > most_bytes or _is_inside_letter(text, end):
        end -= 1
    return text[:end]


def _is_inside_letter(text: str, at: int) -> bool:
    """Return whether the sign at `at` belongs to the letter before it."""
    if not 0 < at < len(text):
        return False
    return JOINER in text[at - 1 : at + 1] or unicodedata.category(text[at]).startswith("M")


def _escaped(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # a byte, as `os.fsdecode` gives it
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode()
