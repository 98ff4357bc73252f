"""Copy XMP sidecars: files in which library apps keep metadata beside a photo."""

import os
from contextlib import suppress
from pathlib import Path

from storage import atomic_files, publishing
from storage.errors import UnreadablePhoto
from storage.formats.safe_open import opened

MOST_BYTES = 16 << 20
"""Maximum size in bytes of a sidecar that is copied."""


def copy_sidecar(source: Path, output: Path) -> None:
    """Copy the source's sidecars (photo.jpg.xmp, photo.xmp) beside the output, if there are any.

    What lies there already stays: nothing tells our copy from one that its owner changed.

    Raises:
        OSError: the disk or the share does not give or take it.

    """
    for theirs, copy in (
        (source.with_name(source.name + ".xmp"), output.with_name(output.name + ".xmp")),
        (source.with_suffix(".xmp"), output.with_suffix(".xmp")),
    ):
        if len(os.fsencode(copy.name)) <= publishing.LONGEST_NAME_BYTES:
            with suppress(UnreadablePhoto, FileNotFoundError):
                _copy(theirs, copy)


def _copy(theirs: Path, copy: Path) -> None:
    with opened(theirs) as file:
        status = os.fstat(file.fileno())
        if status.st_size > MOST_BYTES or os.path.lexists(copy):
            return
        temporary = publishing.temporary(copy, 0, 0)  # no job has this number: swept if we die here
        temporary.write_bytes(file.read())
    os.utime(temporary, ns=(status.st_atime_ns, status.st_mtime_ns))
    atomic_files.sync(temporary)
    publishing.publish(temporary, copy)
