"""What apps that show photos say: immich names a new photo, and its folder is scanned."""

from collections.abc import Iterator
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from daemon.console import session
from daemon.web.access import to_json
from daemon.web.forms import Form
from storage.database import asked_folders
from storage.settings import settings

NAMES = ("originalPath", "path")
WITHIN = ("asset", "data")
"""Objects in which the path of a photo may stand."""
MOST_LEVELS = 3


def asset(_request: Request, form: Form) -> Response:
    """Have the folder of a photo scanned, as an event would; return the folder."""
    path = next(_paths(form.whole, MOST_LEVELS), None)
    if path is None:
        raise HTTPException(
            400, 'name the photo: {"originalPath": "/mnt/media/photos/2024/cat.jpg"}'
        )
    file = settings().immich.file_of(path)
    for name, gallery in settings().galleries.items():
        if file is not None and gallery.path in file.parents:
            folder = file.parent.relative_to(gallery.path)
            asked_folders.ask(session.engine(), name, folder)
            return to_json({"gallery": name, "folder": str(folder)})
    return to_json({"gallery": None, "folder": None})


def _paths(value: Any, levels: int) -> Iterator[str]:
    """Yield the paths that an object names, or one in it."""
    if isinstance(value, dict) and levels:
        yield from (value[name] for name in NAMES if isinstance(value.get(name), str))
        for name in WITHIN:
            yield from _paths(value.get(name), levels - 1)
