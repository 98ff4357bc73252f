"""Publish a result in the output tree: whole or not at all, and never over a file of the owner's.

A result is written to a temporary file in its final folder, its hash recorded in its job's row,
then renamed. The temporary's name says whose it is: a hash of the output's name, job and claim.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from storage import atomic_files
from storage.text import shortened

MARKER = ".photomend-output"
"""Name of the file in each output root that names its gallery; an unmounted share lacks it."""
LONGEST_NAME_BYTES = 255
TEMPORARY = ".photomend-*-*-*.tmp"
MOST_LETTERS = 24
"""Number of letters of an output's name that are tried: some filesystems allow 143 bytes in all."""
_USUAL = re.compile(r"[\w.-]", re.ASCII)


def candidates(source: Path, template: str, suffix: str) -> Iterator[Path]:
    """Yield names for the result of `source`, relative to the output root, the best one first.

    The second is for the case that another photo has the first: IMG.HEIC and IMG.jpg, or, on
    shares that fold case, IMG.jpg and img.jpg.
    """
    mark = hashlib.sha256(os.fsencode(source.name)).hexdigest()[:8]
    for stem in (source.stem, f"{source.stem}-{mark}"):
        name = template.format(stem=stem, ext=suffix)
        if len(os.fsencode(name)) > LONGEST_NAME_BYTES:
            room = LONGEST_NAME_BYTES - len(os.fsencode(template.format(stem=mark, ext=suffix))) - 1
            name = template.format(stem=f"{shortened(source.stem, room)}-{mark}", ext=suffix)
        yield source.with_name(name)


def temporary(output: Path, job_id: int, claim: int) -> Path:
    """Return the temporary file of `output`; its name holds a hash, because names have a limit."""
    return output.with_name(f"{_mark(output)}-{job_id}-{claim}.tmp")


def trial(output: Path) -> Path:
    """Return a temporary file that no claim uses, with the unusual letters of `output`'s name."""
    unusual = dict.fromkeys(letter for letter in output.name if not _USUAL.match(letter))
    letters = "".join(unusual)[:MOST_LETTERS]
    return output.with_name(f"{_mark(output)}{letters}-0-0.tmp")


def publish(temporary: Path, output: Path) -> None:
    """Rename the temporary file to `output`."""
    atomic_files.rename(temporary, output)


def remove_temporary(temporary: Path) -> None:
    """Remove what a claim that did not publish leaves; if that fails, maintenance removes it."""
    with suppress(OSError):
        temporary.unlink(missing_ok=True)


def remove_temporaries(output: Path) -> None:
    """Remove the temporary files of earlier claims, which a frozen worker might still publish."""
    for left in output.parent.glob(f"{_mark(output)}-*-*.tmp"):
        left.unlink(missing_ok=True)


def temporaries(root: Path) -> Iterator[tuple[Path, tuple[int, int]]]:
    """Yield all temporary files below `root`, each with its job id and claim number."""
    for folder, _, _ in os.walk(root):
        for path in Path(folder).glob(TEMPORARY):
            *_, job_id, claim = path.stem.split("-")
            if job_id.isdecimal() and claim.isdecimal():
                yield path, (int(job_id), int(claim))


def sha256(path: Path) -> str | None:
    """Return the SHA-256 of the file; None if there is no file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        return None


def remove(output: Path, expected: str | None) -> bool:
    """Remove a result if its SHA-256 is the expected one; return whether it is gone."""
    found = sha256(output)
    if found is not None and found == expected:
        output.unlink(missing_ok=True)
        return True
    return found is None


def _mark(output: Path) -> str:
    return f".photomend-{hashlib.sha256(os.fsencode(output.name)).hexdigest()[:12]}"
