"""Names of galleries for other programs: never a path, which `photomend up FOLDER` makes of a name."""

import os.path

from storage.text import printable


def label(gallery: str) -> str:
    """Return the name of a gallery, or of its folder."""
    return printable(os.path.basename(gallery.rstrip("/")) if os.path.isabs(gallery) else gallery)  # noqa: PTH117, PTH119
