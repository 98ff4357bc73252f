"""Draw the small pictures of a photo before and after, which the page shows.

The worker draws them, because it has the pixels already: no other process decodes a photo.
"""

import logging
from collections.abc import Callable

import cv2
import numpy as np

from storage import (
    coded_previews,
    jail,
    output_folder,
    preview_files,
    preview_requests,
    private_files,
)
from storage.photos import Image, Photo
from storage.settings import settings
from tasks.imaging.crops import changed_cell

log = logging.getLogger(__name__)

LONG_SIDE, SMALL_SIDE = 1600, 400
"""Pixels of the long side of a whole picture, and of the small one for lists."""
CROP_SIDE = 640
"""Pixels of a side of a crop, at native size."""
MEGA = 1_000_000
Box = tuple[float, float, float, float]
"""Left, top, width and height of a part, as fractions of the photo."""
_warned: set[str] = set()
"""Errors that were logged."""


def draw_photo(job_id: int, photo: Photo) -> None:
    """Draw a photo that was decoded to be classified, if pictures are wanted; no error harms its job."""
    _wanted(lambda: draw(job_id, photo, None))


def draw_result(job_id: int, photo: Photo, mended: Image) -> None:
    """Draw a photo and its result, as `draw_photo` does."""
    _wanted(lambda: draw(job_id, photo, mended))


def draw(job_id: int, photo: Photo, mended: Image | None) -> None:
    """Draw a photo, its result if it has one, and both where most changed.

    A larger result is drawn at the size of its photo.

    Raises:
        OutputFull: there is no room for pictures.
        DecoderDied: the process that codes them died.
        OSError: they cannot be written.

    """
    folder = settings().state_dir / preview_files.FOLDER
    private_files.make_folder(folder)
    output_folder.require_room(folder, 0, settings().min_free_megabytes * MEGA)
    drawn, box = pictures(photo, mended)
    state_dir = settings().state_dir
    if mended is None:
        preview_files.remove_result(state_dir, job_id)
    for name, coded in drawn.items():
        preview_files.write(state_dir, job_id, name, coded)
    if box is not None:
        preview_files.write_box(state_dir, job_id, box)
    preview_requests.forget_reason(state_dir, job_id)


def pictures(photo: Photo, mended: Image | None) -> tuple[dict[str, bytes], Box | None]:
    """Return the pictures of a photo and its result, as WebP by name, and the part that the crops show."""
    whole = _shrunk(photo.image, LONG_SIDE)
    drawn, box = {"before": _coded(whole, photo)}, None
    if mended is not None:
        height, width = photo.image.shape[:2]
        if mended.shape != photo.image.shape:
            mended = _resized(mended, width, height)
        rows, columns = cell = changed_cell(photo.image, [mended], CROP_SIDE)
        whole = _shrunk(mended, LONG_SIDE)
        parts = {"after": whole, "crop_before": photo.image[cell], "crop_after": mended[cell]}
        drawn |= {name: _coded(part, photo) for name, part in parts.items()}
        size = (columns.stop - columns.start) / width, (rows.stop - rows.start) / height
        box = (columns.start / width, rows.start / height, *size)
    drawn["small"] = _coded(_shrunk(whole, SMALL_SIDE), photo)
    return drawn, box


def _wanted(work: Callable[[], None]) -> None:
    """Draw pictures if the settings want any; an error is logged and harms no job."""
    if not settings().previews_megabytes:
        return
    try:
        work()
    except Exception as error:  # noqa: BLE001 # no picture is worth a job
        if str(error) not in _warned:
            _warned.add(str(error))
            log.warning("pictures for the page cannot be drawn: %s", error)


def _shrunk(image: Image, long_side: int) -> Image:
    """Return an image whose long side has at most so many pixels."""
    height, width = image.shape[:2]
    scale = long_side / max(height, width)
    if scale >= 1:
        return image
    return _resized(image, max(1, round(width * scale)), max(1, round(height * scale)))


def _resized(image: Image, width: int, height: int) -> Image:
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def _coded(image: Image, photo: Photo) -> bytes:
    """Return a picture as a WebP in sRGB."""
    pixels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    return jail.run(coded_previews.picture, pixels, photo.metadata.icc)
