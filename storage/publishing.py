"""Put a result into the output tree so that nobody ever sees half of one, or loses his own file.

A result is written to a temporary file in its final folder, its hash recorded in its job's row,
then renamed. The temporary's name says whose it is: a hash of the output's name, job and claim.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from storage import atomic_files
from storage.errors import GalleryOffline
from storage.settings_gallery import BESIDE, GallerySettings

MARKER = ".photomend-output"
"""Lies in each output root and names its gallery: a share that is away has none."""
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
    """Make `folder` below the output root, after a look whether that root is the one we know.

    `used` says that results of the gallery were published before.

    Raises:
        GalleryOffline: the marker is not there though it should be, or names another gallery.
        OSError: the disk is full, read-only or away.

    """
    root = gallery.output_root
    if gallery.name not in BESIDE:
        _check_marker(name, root, used=used)
    folder.mkdir(parents=True, exist_ok=True)


def _check_marker(name: str, root: Path, *, used: bool) -> None:
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
        root.mkdir(parents=True, exist_ok=True)
        atomic_files.write(marker, json.dumps({"gallery": name}).encode())
    except (ValueError, KeyError, TypeError) as error:
        raise GalleryOffline(f"{marker} cannot be understood; remove it") from error
    else:
        if found != name:
            raise GalleryOffline(f"the output folder {root} belongs to the gallery {found!r}")


def temporary(output: Path, job_id: int, claim: int) -> Path:
    """Return the name of the temporary file of `output`; itself, it may be too long for more."""
    return output.with_name(f"{_mark(output)}-{job_id}-{claim}.tmp")


def publish(temporary: Path, output: Path) -> None:
    """Give the temporary file its name, or fail if it was swept."""
    atomic_files.rename(temporary, output)


def sweep(output: Path) -> None:
    """Take from all claims before, frozen ones too, what they might still publish as `output`."""
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
    """Return the hash of the file, None if there is none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        return None


def remove(output: Path, expected: str | None) -> bool:
    """Remove our result if it is still the one we made; return whether it is gone."""
    found = sha256(output)
    if found is not None and found == expected:
        output.unlink(missing_ok=True)
        return True
    return found is None


def _mark(output: Path) -> str:
    return f".photomend-{hashlib.sha256(os.fsencode(output.name)).hexdigest()[:12]}"
