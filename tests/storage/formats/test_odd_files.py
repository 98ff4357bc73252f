"""Files that others open are opened; what no decoder here opens is left alone with its reason."""

import io
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow

from storage import eligibility, inspection, photos
from storage.formats.containers import jpeg, png, tiff
from storage.formats.safe_open import Limits
from storage.metadata.provenance import Provenance
from tests.storage import copier

Make = Callable[..., Path]
Scene = NDArray[np.uint8]
CASE = Path(__file__).parents[3] / "../shared/cases/files/a19-extraneous.jpg"


def left_alone(path: Path, limits: Limits) -> str | None:
    with inspection.opened(path, limits) as seen:
        return eligibility.left_alone(seen)


def content_hash(path: Path, limits: Limits) -> str:
    with inspection.opened(path, limits) as seen:
        return seen.content_hash


@pytest.mark.parametrize("bytes_between", (b"\0", b"\0" * 700, b"\xff\0", b"stray"))
def test_bytes_between_the_segments_of_a_jpeg_are_skipped(
    bytes_between: bytes, tmp_path: Path, make: Make, origin: Provenance, limits: Limits
) -> None:
    path = make(tmp_path / "photo.jpg")
    whole, expected = path.read_bytes(), photos.read(path, limits).image
    before = content_hash(path, limits)
    with path.open("rb") as file:
        places = [segment.start for segment in jpeg.segments(file) if segment.marker != jpeg.EOI]
    for at in reversed(places[1:]):
        whole = whole[:at] + bytes_between + whole[at:]
    path.write_bytes(whole)
    photo = photos.read(path, limits)
    assert np.array_equal(photo.image, expected)
    assert content_hash(path, limits) == before
    copier.write(photo, tmp_path / "output.jpg", origin, limits)
    assert left_alone(path, limits) is None


@pytest.mark.parametrize("place", ("the pixels", "the whole file"))
def test_a_tag_of_a_tiff_that_names_the_place_of_the_pixels_changes_none(
    place: str, tmp_path: Path, make: Make, packet: bytes, limits: Limits
) -> None:
    path = make(tmp_path / "photo.tif", xmp=packet)
    expected = photos.read(path, limits).image
    data = bytearray(path.read_bytes())
    entries = tiff.Tiff(io.BytesIO(data)).directory(8).entries
    damaged, strip = entries[tiff.XMP].position, entries[tiff.STRIPS]
    if place == "the pixels":
        data[damaged + 8 : damaged + 12] = data[strip.position + 8 : strip.position + 12]
    else:
        data[damaged + 4 : damaged + 12] = struct.pack("<II", 1 << 28, 8)
    path.write_bytes(data)
    assert np.array_equal(photos.read(path, limits).image, expected)


def test_the_file_with_zero_bytes_between_segments_is_opened(limits: Limits) -> None:
    if not CASE.is_file():
        pytest.skip("the files that once went wrong are not on this machine")
    assert photos.read(CASE, limits).image.shape == (320, 480, 3)


@pytest.mark.parametrize("bits", (8, 16))
def test_a_wrong_checksum_of_a_text_does_not_close_a_png(
    bits: int, tmp_path: Path, scene: Scene, limits: Limits
) -> None:
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), scene if bits == 8 else scene.astype(np.uint16) * 257)
    broken = bytearray(png.build(b"tEXt", b"Title\0Oma"))
    broken[-1] ^= 1
    data = path.read_bytes()
    path.write_bytes(data[:33] + broken + data[33:])
    photo = photos.read(path, limits)
    assert np.array_equal(np.rint(photo.image[..., ::-1] * 255), scene)
    assert photo.metadata.png == ((b"tEXt", b"Title\0Oma"),)


def test_an_arithmetic_jpeg_is_opened(tmp_path: Path, scene: Scene, limits: Limits) -> None:
    if shutil.which("cjpeg") is None:
        pytest.skip("cjpeg is not on this machine (Debian's libjpeg-turbo-progs)")
    Pillow.fromarray(scene).save(tmp_path / "photo.ppm")
    with (tmp_path / "photo.jpg").open("wb") as file:
        subprocess.run(["cjpeg", "-arithmetic", tmp_path / "photo.ppm"], check=True, stdout=file)
    assert left_alone(tmp_path / "photo.jpg", limits) is None
    assert np.abs(photos.read(tmp_path / "photo.jpg", limits).image * 255 - scene).mean() < 4


def _with_tag(path: Path, tag: int, value: int) -> None:
    """Change a tag with one number in a little-endian TIFF."""
    data = bytearray(path.read_bytes())
    at = data.index(struct.pack("<HHI", tag, 3, 1)) + 8
    data[at : at + 2] = struct.pack("<H", value)
    path.write_bytes(data)


@pytest.mark.parametrize("codec", ("zstd", "tiff_lzw", "lzma", "packbits", "jpeg"))
def test_a_tiff_of_a_rare_codec_that_pillow_decodes_is_opened(
    codec: str, tmp_path: Path, scene: Scene, origin: Provenance, limits: Limits
) -> None:
    path = tmp_path / "photo.tif"
    Pillow.fromarray(scene).save(path, compression=codec)
    photo = photos.read(path, limits)
    assert np.abs(photo.image * 255 - scene).mean() < 4
    copier.write(photo, tmp_path / "output.tif", origin, limits)


@pytest.mark.parametrize(
    ("bits", "codec", "name"),
    ((8, 34887, "LERC"), (8, 50001, "WebP"), (8, 65000, "method 65000"), (16, 50000, "Zstandard")),
)
def test_a_tiff_that_no_decoder_here_opens_is_left_alone_by_its_codec(
    bits: int, codec: int, name: str, tmp_path: Path, scene: Scene, limits: Limits
) -> None:
    path = tmp_path / "photo.tif"
    cv2.imwrite(str(path), scene if bits == 8 else scene.astype(np.uint16) * 257)
    _with_tag(path, 259, codec)
    reason = left_alone(path, limits)
    assert reason is not None and f"{bits} bits compressed by {name}" in reason


def test_a_tiff_of_ycbcr_without_jpeg_is_left_alone(
    tmp_path: Path, scene: Scene, limits: Limits
) -> None:
    path = tmp_path / "photo.tif"
    Pillow.fromarray(scene).convert("YCbCr").save(path)
    assert "YCbCr colours" in (left_alone(path, limits) or "")


@pytest.mark.parametrize("mode", ("LA", "RGBA"))
def test_premultiplied_alpha_in_a_tiff_is_undone(
    mode: str, tmp_path: Path, origin: Provenance, limits: Limits
) -> None:
    path = tmp_path / "photo.tif"
    pixels = np.full((40, 50, len(mode)), 60, np.uint8)
    pixels[..., -1] = 120
    Pillow.fromarray(pixels).save(path)
    _with_tag(path, 338, 1)
    photo = photos.read(path, limits)
    assert np.abs(photo.image * 255 - 127.5).max() < 1
    assert photo.alpha is not None and (photo.alpha == 120).all()
    copier.write(photo, tmp_path / "output.tif", origin, limits)
    assert np.array_equal(photos.read(tmp_path / "output.tif", limits).image, photo.image)


def test_premultiplied_alpha_in_a_heic_is_undone(
    tmp_path: Path, origin: Provenance, limits: Limits
) -> None:
    path, pixels = tmp_path / "photo.heic", np.full((64, 64, 4), 60, np.uint8)
    pixels[..., 3] = 120
    pillow_heif.encode("RGBa", (64, 64), pixels.tobytes(), path, quality=95)
    photo = photos.read(path, limits)
    assert np.abs(photo.image * 255 - 127.5).max() < 5
    copier.write(photo, tmp_path / "output.heic", origin, limits)
    back = photos.read(tmp_path / "output.heic", limits)
    assert np.abs(back.image - photo.image).max() < 0.02
