"""Publish a result in the output tree: whole or not at all, and never over a file of the owner's.

A result is written to a temporary file in its final folder, its hash recorded in its job's row,
then renamed. The temporary's name says whose it is: a hash of the output's name, job and claim.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from storage import atomic_files, file_attributes
from storage.errors import GalleryOffline
from storage.settings_gallery import BESIDE, GallerySettings

MARKER = ".photomend-output"
"""Name of the file in each output root that names its gallery; an unmounted share lacks it."""
LONGEST_NAME_BYTES = 255
TEMPORARY = ".photomend-*-*-*.tmp"


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
            short = os.fsdecode(os.fsencode(source.stem)[:room])
            name = template.format(stem=f"{short}-{mark}", ext=suffix)
        yield source.with_name(name)


def prepare(name: str, gallery: GallerySettings, folder: Path, *, used: bool) -> None:
    """Make `folder` below the output root, if that root is the right one.

    New folders have the permissions of the gallery's.

    `used` says that results of the gallery were published before.

    Raises:
        GalleryOffline: the marker is not there though it should be, or names another gallery.
        OSError: the disk is full, read-only or away.

    """
    root = gallery.output_root
    if gallery.name not in BESIDE:
        _check_marker(name, gallery, used=used)
    below = folder.relative_to(root)
    file_attributes.make_folder(gallery.path / below, folder, len(below.parts))


def _check_marker(name: str, gallery: GallerySettings, *, used: bool) -> None:
    root = gallery.output_root
    marker = root / MARKER
    try:
        found = json.loads(marker.read_text())["gallery"]
    except FileNotFoundError:
        if used:
            raise GalleryOffline(
                f"the output folder {root} is not the one that has this gallery's results "
                f"({MARKER} is missing); is its disk or share mounted? If the results were moved "
                f"away on purpose: echo '{json.dumps({'gallery': name})}' > {marker}"
            ) from None
        file_attributes.make_folder(gallery.path, root, 0)
        atomic_files.write(marker, json.dumps({"gallery": name}).encode())
    except (ValueError, KeyError, TypeError) as error:
        raise GalleryOffline(f"{marker} cannot be understood; remove it") from error
    else:
        if found != name:
            raise GalleryOffline(f"the output folder {root} belongs to the gallery {found!r}")


def temporary(output: Path, job_id: int, claim: int) -> Path:
    """Return the temporary file of `output`; its name holds a hash, because names have a limit."""
    return output.with_name(f"{_mark(output)}-{job_id}-{claim}.tmp")


def publish(temporary: Path, output: Path) -> None:
    """Rename the temporary file to `output`."""
    atomic_files.rename(temporary, output)


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
