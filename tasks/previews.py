"""Draw the small pictures of a photo before and after, which the page shows.

The worker draws them, because it has the pixels already: no other process decodes a photo.
"""

import io
import logging
from collections.abc import Callable, Mapping

import cv2
import numpy as np
from PIL import Image as Pictures

from storage import output_folder, preview_files, private_files
from storage.photos import Image, Photo
from storage.settings import settings
from tasks.imaging.crops import changed_cell

log = logging.getLogger(__name__)

LONG_SIDE = 1600
"""Pixels of the long side of a whole picture."""
CROP_SIDE = 640
"""Pixels of a side of a crop, at native size."""
QUALITY, EFFORT = 80, 2
"""Quality of a WebP, and the time that its encoder takes, 0 to 6."""
MOST_PROFILE_BYTES = 1_000_000
"""A larger ICC profile is left out."""
MEGA = 1_000_000
Box = tuple[float, float, float, float]
"""Left, top, width and height of a part, as fractions of the photo."""
_warned: set[str] = set()
"""Errors that were logged."""


def draw_photo(job_id: int, photo: Photo) -> None:
    """Draw a photo that was decoded to be classified."""
    _draw(lambda: _write(job_id, pictures_of_photo(photo)))


def draw_result(job_id: int, photo: Photo, mended: Image) -> None:
    """Draw the mended photo, and both where most changed; a larger one at the photo's size."""
    _draw(lambda: _draw_both(job_id, photo, mended))


def pictures_of_photo(photo: Photo) -> dict[str, bytes]:
    """Return the picture that is drawn of a photo, by its name."""
    return {"before": _coded(_small(photo.image), photo)}


def pictures_of_result(photo: Photo, mended: Image) -> tuple[dict[str, bytes], Box]:
    """Return the pictures that are drawn of a result, by name, and the part that the crops show."""
    height, width = photo.image.shape[:2]
    if mended.shape != photo.image.shape:
        mended = _resized(mended, width, height)
    rows, columns = cell = changed_cell(photo.image, [mended], CROP_SIDE)
    pictures = {
        "before": _small(photo.image), "after": _small(mended),
        "crop_before": photo.image[cell], "crop_after": mended[cell],
    }  # fmt: skip
    size = (columns.stop - columns.start) / width, (rows.stop - rows.start) / height
    box = (columns.start / width, rows.start / height, *size)
    return {name: _coded(picture, photo) for name, picture in pictures.items()}, box


def _draw_both(job_id: int, photo: Photo, mended: Image) -> None:
    pictures, box = pictures_of_result(photo, mended)
    _write(job_id, pictures)
    preview_files.write_box(settings().state_dir, job_id, box)


def _draw(pictures: Callable[[], None]) -> None:
    """Draw pictures if they are wanted and there is room; an error is logged and harms no job."""
    if not settings().previews_megabytes:
        return
    try:
        folder = settings().state_dir / preview_files.FOLDER
        private_files.make_folder(folder)
        output_folder.require_room(folder, 0, settings().min_free_megabytes * MEGA)
        pictures()
    except Exception as error:  # noqa: BLE001 # no picture is worth a job
        if str(error) not in _warned:
            _warned.add(str(error))
            log.warning("pictures for the page cannot be drawn: %s", error)


def _small(image: Image) -> Image:
    """Return an image whose long side has at most LONG_SIDE pixels."""
    height, width = image.shape[:2]
    scale = LONG_SIDE / max(height, width)
    if scale >= 1:
        return image
    return _resized(image, max(1, round(width * scale)), max(1, round(height * scale)))


def _resized(image: Image, width: int, height: int) -> Image:
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def _write(job_id: int, pictures: Mapping[str, bytes]) -> None:
    for name, coded in pictures.items():
        preview_files.write(settings().state_dir, job_id, name, coded)


def _coded(image: Image, photo: Photo) -> bytes:
    """Code a picture as WebP, in the colour space of its photo."""
    pixels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    profile = photo.metadata.icc if len(photo.metadata.icc) <= MOST_PROFILE_BYTES else b""
    coded = io.BytesIO()
    Pictures.fromarray(pixels).save(
        coded, "WEBP", quality=QUALITY, method=EFFORT, icc_profile=profile
    )
    return coded.getvalue()
