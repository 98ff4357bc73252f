"""JPEG as the compression of a TIFF."""

import io
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from storage import photos
from storage.formats import jpeg_in_tiff
from storage.formats.safe_open import Limits
from storage.metadata.provenance import Provenance
from tests.storage import copier
from tests.storage.formats.test_encode import decibels
from tests.storage.formats.test_odd_files import left_alone


def jpeg_tiff(picture: Pillow.Image, sampling: str, order: str) -> bytes:
    """Return a picture as a TIFF compressed by JPEG of quality 60; "RGB" has no YCbCr."""
    made = io.BytesIO()
    if sampling in ("RGB", "grey"):
        shown = picture if sampling == "RGB" else picture.convert("L")
        shown.save(made, "TIFF", compression="jpeg", quality=60)
        return made.getvalue()
    picture.save(made, "JPEG", quality=60, subsampling=sampling)
    return jpeg_in_tiff.wrapped(made.getvalue(), sampling, order)


def old_jpeg(picture: Pillow.Image) -> bytes:
    """Return a picture as a TIFF with the older form of JPEG: a whole JPEG that tag 513 names."""
    made = io.BytesIO()
    picture.save(made, "JPEG", quality=60)
    data, (width, height) = made.getvalue(), picture.size
    tags = (
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, 0), (259, 3, 1, 6), (262, 3, 1, 6),
        (273, 4, 1, 0), (277, 3, 1, 3), (278, 4, 1, height), (279, 4, 1, len(data)),
        (512, 3, 1, 1), (513, 4, 1, 0), (514, 4, 1, len(data)), (530, 3, 2, 0x20002),
    )  # fmt: skip
    start = 14 + 12 * len(tags)
    places = {258: start, 273: start + 8, 513: start + 8}
    table = b"".join(
        struct.pack("<HHII", tag, kind, count, places.get(tag, value))
        for tag, kind, count, value in tags
    )
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + table + bytes(4)
    return head + struct.pack("<4H", 8, 8, 8, 0) + data


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("sampling", ("4:4:4", "4:2:2", "4:2:0", "RGB", "grey", "old"))
def test_a_jpeg_in_a_tiff_stays_one_of_the_same_quality(
    sampling: str, order: str, clear: Path, tmp_path: Path, origin: Provenance, limits: Limits
) -> None:
    picture = Pillow.open(clear / "kodak/kodak24/03.png").convert("RGB")
    source, output = tmp_path / "photo.tif", tmp_path / "output.tif"
    made = old_jpeg(picture) if sampling == "old" else jpeg_tiff(picture, sampling, order)
    source.write_bytes(made)
    assert left_alone(source, limits) is None
    photo = photos.read(source, limits)
    assert photo.jpeg_quality == 60
    written = copier.write(photo, output, origin, limits)
    back = photos.read(output, limits)
    assert decibels(back.image, photo.image) >= 45
    assert written.receipt["growth"] <= 1.1  # type: ignore[operator]
    assert (back.coding.sampling, back.coding.grey) == (photo.coding.sampling, photo.coding.grey)
    other = cv2.imdecode(np.frombuffer(output.read_bytes(), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert decibels(other.astype(np.float32) / 255, back.image) >= 40


def test_a_jpeg_in_a_tiff_that_cannot_be_written_back_is_left_alone(
    tmp_path: Path, limits: Limits
) -> None:
    path = tmp_path / "photo.tif"
    Pillow.new("RGBA", (64, 64), (9, 8, 7, 6)).save(path, compression="jpeg")
    assert "with alpha compressed by JPEG" in (left_alone(path, limits) or "")
    old = bytearray(old_jpeg(Pillow.new("RGB", (64, 64))))
    old[old.index(struct.pack("<HHI", 513, 4, 1))] = 0  # another tag: the tables are elsewhere
    path.write_bytes(old)
    assert "the older form of JPEG" in (left_alone(path, limits) or "")
