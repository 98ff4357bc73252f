"""Take the copies of sidecars away with the result that they lie beside, and bring them back.

The receipt of a result holds their SHA-256, so one that its owner changed stays.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from storage import beneath, publishing, trash
from storage.beneath import Beneath
from storage.formats.detect import is_photo_name
from storage.metadata import sidecar_names

ENTRY = "sidecars"
"""The entry of a receipt with the SHA-256 of each copy."""


def recorded(receipt: Mapping[str, Any], copied: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the entry for the sidecars that are about to be copied, with these SHA-256 by form.

    What lies there from an earlier result stays, and so does what its receipt says of it.
    """
    found = dict(copied) | dict(receipt.get(ENTRY, {}))
    return {ENTRY: found} if found else {}


def remove(result: Path | Beneath, receipt: Mapping[str, Any] | None) -> None:
    """Remove the copies beside a result that is gone.

    Raises:
        OSError: the disk or the share does not take it.

    """
    for copy, sha256 in _beside(result, receipt):
        publishing.remove(copy, sha256)


def put_in_trash(result: Beneath, receipt: Mapping[str, Any] | None, job_id: int) -> None:
    """Move the copies beside a result that is in the trash there, too.

    Raises:
        OSError: the disk or the share does not take it.

    """
    for copy, sha256 in _beside(result, receipt):
        trash.put(copy, job_id, sha256)


def take_out(result: Beneath, receipt: Mapping[str, Any] | None, job_id: int) -> None:
    """Bring the copies back beside a result that is there again; what has their names stays.

    Raises:
        OSError: the disk or the share does not take it.

    """
    for copy, sha256 in _beside(result, receipt):
        with suppress(FileExistsError):
            trash.take_out(copy, job_id, sha256)


def _beside(
    result: Path | Beneath, receipt: Mapping[str, Any] | None
) -> Iterator[tuple[Beneath, str]]:
    """Yield the names of the copies of one result alone, each with its SHA-256."""
    entry = (receipt or {}).get(ENTRY)
    if not isinstance(entry, dict):
        return
    result = beneath.at(result)
    for form, copy in sidecar_names.of(result).items():
        is_shared = form in sidecar_names.OF_STEMS and _shares_its_stem(result)
        if form in entry and not is_shared:
            yield copy, str(entry[form])


def _shares_its_stem(result: Beneath) -> bool:
    """Return whether the result of another photo has the same name up to its suffix."""
    with suppress(FileNotFoundError), result.folder(os.O_RDONLY) as folder:
        others = (Path(name) for name in os.listdir(folder) if is_photo_name(name))  # noqa: PTH208
        return any(p.stem == result.relative.stem and p.name != result.name for p in others)
    return False
