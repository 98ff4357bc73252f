"""Publish a result in the output tree: whole or not at all, and never over a file of the owner's.

A result is written to a temporary file in its final folder, its hash recorded in its job's row,
then renamed. The temporary's name says whose it is: a hash of the output's name, job and claim.
What lies at the result's name is looked at again after the rename has put it aside, where it has
a name that no cleanup of temporary files removes: so a file that its owner has changed meanwhile
goes back, and is kept also after a crash.
"""

import hashlib
import os
import re
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from storage import atomic_files, beneath
from storage.atomic_files import Draft, token
from storage.beneath import Beneath
from storage.errors import OutputTaken
from storage.text import printable, shortened

MARKER = ".photomend-output"
"""Name of the file in each output root that names its gallery; an unmounted share lacks it."""
LONGEST_NAME_BYTES = 255
_TEMPORARY = re.compile(r"\.photomend-[^-]*-(\d+)-(\d+)(-\w+)?\.tmp")
"""Names of temporary files: a hash, job id and claim number, and a random part that older ones lack."""
_ASIDE = re.compile(r"\.photomend-(\w{64})-(?:(\w{16})-)?\w{12}\.old")
"""Names of files that were put aside: the SHA-256 of the result that is to go, the start of that of
the draft that is to take its place, if there is one, and a random part."""
ASIDE_SECONDS = 600.0
"""Age from which what is put aside belongs to no process that lives; that takes a second."""
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


def draft(output: Path | Beneath, job_id: int, claim: int) -> AbstractContextManager[Draft]:
    """Make the temporary file of `output`, which only this user can read until it is published.

    Its name holds a hash, because names have a limit, and a random part, so that nobody can guess it.
    """
    output = beneath.at(output)
    return atomic_files.draft(output, f"{_mark(output.name)}-{job_id}-{claim}-{token()}.tmp")


def trial(output: Path | Beneath) -> AbstractContextManager[Draft]:
    """Make a temporary file that no claim uses, with the unusual letters of `output`'s name."""
    output = beneath.at(output)
    unusual = dict.fromkeys(letter for letter in output.name if not _USUAL.match(letter))
    letters = "".join(unusual)[:MOST_LETTERS]
    return atomic_files.draft(output, f"{_mark(output.name)}{letters}-0-0-{token()}.tmp")


def publish(new: Draft, replaced: str | None) -> None:
    """Give a draft its name, which nothing has, or the file with the SHA-256 `replaced`.

    Raises:
        OutputTaken: another file has the name; it stays.
        FileNotFoundError: the temporary file was removed.

    """
    new.finish()
    try:
        if replaced is None:
            beneath.rename_new(new.folder, new.temporary, new.name)
        elif not _replace(new, replaced):
            raise FileExistsError
    except FileExistsError as error:
        raise OutputTaken(
            f"{printable(new.name)} in the output folder was made or changed by its owner; it stays"
        ) from error
    atomic_files.sync_open(new.folder)


def _replace(new: Draft, expected: str) -> bool:
    """Put a draft in the place of a file; return False if that file is not the expected one.

    On filesystems that cannot exchange names (NFS), no file has the name for a short moment.
    """
    folder = new.folder
    aside = _aside(expected, beneath.sha256_in(folder, new.temporary))
    beneath.rename_new(folder, new.temporary, aside)
    try:
        return _swap(folder, aside, new.name, expected)
    finally:
        if _is_ours(beneath.sha256_in(folder, aside), aside):
            _unlink(folder, aside)


def _swap(folder: int, aside: str, name: str, expected: str) -> bool:
    """Exchange two files unless the second is not the expected one; return whether it was."""
    try:
        exchanged = beneath.exchange(folder, aside, name)
    except FileNotFoundError:  # its owner removed it
        exchanged = False
    if not exchanged:
        if _remove(folder, name, expected):
            beneath.rename_new(folder, aside, name)
            return True
        return False
    if beneath.sha256_in(folder, aside) in (None, expected):
        return True
    beneath.exchange(folder, aside, name)
    return False


def remove_temporaries(output: Path | Beneath) -> None:
    """Remove the temporary files of earlier claims, which a frozen worker might still publish."""
    output = beneath.at(output)
    with output.folder(os.O_RDONLY) as folder:
        for name in os.listdir(folder):  # noqa: PTH208
            if name.startswith(f"{_mark(output.name)}-") and _TEMPORARY.fullmatch(name):
                _unlink(folder, name)


def temporaries(root: Path) -> Iterator[tuple[Beneath, tuple[int, int]]]:
    """Yield all temporary files below `root`, each with its job id and claim number."""
    for file, name in _files(root, _TEMPORARY):
        yield file, (int(name[1]), int(name[2]))


def put_aside(root: Path) -> Iterator[tuple[Beneath, bool]]:
    """Yield all files below `root` that a process put aside and died, each with whether it is ours.

    Another one was changed by its owner while photomend was about to replace or remove it.
    """
    for file, name in _files(root, _ASIDE):
        with suppress(FileNotFoundError):
            if time.time() - file.status().st_ctime >= ASIDE_SECONDS:
                yield file, _is_ours(sha256(file), name[0])


def sha256(file: Path | Beneath) -> str | None:
    """Return the SHA-256 of a file.

    Return None if there is no file, "" if it is no regular one, growing, or larger than
    any result: no hash equals that.
    """
    file = beneath.at(file)
    try:
        with file.folder() as folder:
            return beneath.sha256_in(folder, file.name)
    except (FileNotFoundError, NotADirectoryError):
        return None


def remove(output: Path | Beneath, expected: str | None) -> bool:
    """Remove a result if its SHA-256 is the expected one; return whether it is gone."""
    output, found = beneath.at(output), sha256(output)
    if found is None or found != expected:
        return found is None
    with output.folder() as folder:
        return _remove(folder, output.name, expected)


def _remove(folder: int, name: str, expected: str) -> bool:
    """Remove a file of a folder if it is the expected one; return whether it is gone."""
    aside = _aside(expected)
    try:
        beneath.rename_new(folder, name, aside)
    except FileNotFoundError:
        return True
    if _is_ours(beneath.sha256_in(folder, aside), aside):
        _unlink(folder, aside)
        return True
    with suppress(FileExistsError):  # its owner made another one: both stay
        beneath.rename_new(folder, aside, name)
    return False


def _is_ours(found: str | None, aside: str) -> bool:
    """Return whether a file that was put aside, with the SHA-256 `found`, is a result or a draft."""
    name = _ASIDE.fullmatch(aside)
    assert name is not None
    return found is None or found == name[1] or found[:16] == name[2]


def _files(root: Path, names: re.Pattern[str]) -> Iterator[tuple[Beneath, re.Match[str]]]:
    """Yield the files below `root` that have such names."""
    for file in beneath.walk(root):
        if found := names.fullmatch(file.name):
            yield file, found


def _unlink(folder: int, name: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def _aside(expected: str, draft: str | None = None) -> str:
    """Return a name for a file to put aside, by the SHA-256 of the result and of the draft."""
    return f".photomend-{expected}-{f'{draft[:16]}-' if draft else ''}{token()}.old"


def _mark(name: str) -> str:
    return f".photomend-{hashlib.sha256(os.fsencode(name)).hexdigest()[:12]}"
