"""The fingerprints by which tests record photos, as a scan does."""

import os

from storage import fingerprints
from storage.settings import settings


def seen(name: str, version: int = 1) -> str:
    """Return the fingerprint of a photo of the gallery g; that of other versions is as of other clocks."""
    path = settings().gallery("g").path / name
    if not path.exists():
        return str(version)
    found = path.stat()
    shifted = found.st_mtime_ns + (version - 1) * fingerprints.SHIFT_NS
    return fingerprints.of(os.stat_result(found[:10], {"st_mtime_ns": shifted}))
