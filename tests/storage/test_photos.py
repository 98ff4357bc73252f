import errno
import hashlib
import io
import os
import socket
import stat
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow

from storage import eligibility, inspection, output_folder, photos, publishing
from storage.beneath import Beneath
from storage.errors import OutputFull, TooLarge, UnreadablePhoto
from storage.formats import lossless
from storage.formats.containers import png, tiff, webp
from storage.formats.encode import FLOOR_DECIBELS
from storage.formats.safe_open import Limits
from storage.formats.turn import Turn
from storage.metadata.provenance import Provenance
from storage.metadata.sidecar import copy_sidecar
from storage.settings_gallery import GallerySettings
from tests.storage import copier

Make = Callable[..., Path]
STILL = Turn(1, (8, 8), (8, 8))
SUFFIXES = (".jpg", ".png", ".tif", ".webp", ".heic", ".avif")
LOSSLESS = (".png", ".tif")


def size(path: Path, limits: Limits) -> tuple[int, int]:
    with inspection.opened(path, limits) as seen:
        return seen.size


def left_alone(path: Path, limits: Limits) -> str | None:
    with inspection.opened(path, limits) as seen:
        return eligibility.left_alone(seen)


def decibels(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    error = float(np.mean((one - other) ** 2))
    return float("inf") if error == 0 else -10 * np.log10(error)


def upright(scene: NDArray[np.uint8]) -> NDArray[np.float32]:
    return scene.astype(np.float32) / 255


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_photo_is_read_as_rgb_between_0_and_1(
    suffix: str, tmp_path: Path, make: Make, scene: NDArray[np.uint8], limits: Limits
) -> None:
    path = make(tmp_path / f"photo{suffix}")
    photo = photos.read(path, limits)
    assert photo.image.dtype == np.float32
    assert photo.image.shape == (120, 160, 3)
    assert photo.image.flags.c_contiguous
    assert size(path, limits) == (160, 120)
    assert decibels(photo.image, upright(scene)) > (90 if suffix in LOSSLESS else 30)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_written_is_what_was_meant(
    suffix: str, tmp_path: Path, make: Make, origin: Provenance, limits: Limits
) -> None:
    photo = photos.read(make(tmp_path / f"photo{suffix}"), limits)
    photo = photo.with_image(np.clip(photo.image * 1.2 - 0.1, 0, 1))
    output = tmp_path / "output"
    sha256 = copier.write(photo, output, origin, limits).sha256
    back = photos.read(output, limits)
    assert decibels(back.image, photo.image) >= FLOOR_DECIBELS
    assert back.format == photo.format
    assert sha256 == hashlib.sha256(output.read_bytes()).hexdigest()


@pytest.mark.parametrize("suffix", (".jpg", ".png", ".tif", ".webp", ".avif"))
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_orientation_is_applied_once(
    suffix: str, orientation: int, tmp_path: Path, make: Make, block: Callable[..., bytes],
    scene: NDArray[np.uint8], origin: Provenance, limits: Limits,
) -> None:  # fmt: skip
    turned = Pillow.fromarray(scene).transpose(_UNDO[orientation]) if orientation > 1 else scene
    path = make(tmp_path / f"photo{suffix}", np.asarray(turned), exif=block(orientation))
    photo = photos.read(path, limits)
    assert size(path, limits) == (160, 120)
    assert decibels(photo.image, upright(scene)) > 30
    copier.write(photo, tmp_path / "output", origin, limits)
    back = photos.read(tmp_path / "output", limits)
    assert decibels(back.image, photo.image) >= FLOOR_DECIBELS
    assert back.metadata.facts.orientation == 1
    with Pillow.open(tmp_path / "output") as file:
        assert file.getexif().get(0x0112) in (1, None)


_UNDO = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT, 3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM, 5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_90, 7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_270,
}  # fmt: skip


def test_a_heic_is_turned_by_its_container_and_never_again_by_its_exif(
    tmp_path: Path, make: Make, block: Callable[..., bytes], scene: NDArray[np.uint8],
    origin: Provenance, limits: Limits,
) -> None:  # fmt: skip
    turned = np.asarray(Pillow.fromarray(scene).transpose(Pillow.Transpose.ROTATE_90))
    path = make(tmp_path / "photo.heic", turned, exif=block(6))
    assert size(path, limits) == (160, 120)
    photo = photos.read(path, limits)
    assert decibels(photo.image, upright(scene)) > 30
    copier.write(photo, tmp_path / "output.heic", origin, limits)
    back = photos.read(tmp_path / "output.heic", limits)
    assert decibels(back.image, photo.image) >= FLOOR_DECIBELS
    assert size(tmp_path / "output.heic", limits) == (160, 120)


@pytest.mark.parametrize("stated", range(1, 9))
def test_pillows_own_oriented_photos_come_back_upright(
    stated: int, clear: Path, limits: Limits
) -> None:
    if stated == 1:
        return
    path = clear / f"robust/pillow/hopper_orientation_{stated}.jpg"
    reference = photos.read(clear / "robust/pillow/hopper.jpg", limits).image
    assert decibels(photos.read(path, limits).image, reference) > 25


@pytest.mark.parametrize("stated", (b"6", b" 6 "))
def test_an_orientation_that_only_xmp_states_is_applied(
    stated: bytes, tmp_path: Path, make: Make, limits: Limits
) -> None:
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="%b"/></rdf:RDF></x:xmpmeta>'
    ) % stated
    path = make(tmp_path / "photo.jpg", xmp=xmp)
    assert size(path, limits) == (120, 160)
    assert photos.read(path, limits).image.shape == (160, 120, 3)


@pytest.mark.parametrize("suffix", LOSSLESS)
@pytest.mark.parametrize("channels", (1, 3, 4))
def test_16_bits_stay_16_bits(
    suffix: str, channels: int, tmp_path: Path, scene: NDArray[np.uint8], origin: Provenance,
    limits: Limits,
) -> None:  # fmt: skip
    deep = scene.astype(np.uint16) * 257 + np.arange(160, dtype=np.uint16)[:, None] % 97
    if channels == 1:
        pixels = deep[..., :1]
    elif channels == 3:
        pixels = deep[..., ::-1]
    else:
        pixels = np.dstack([deep[..., ::-1], deep[..., 0]])
    path = tmp_path / f"photo{suffix}"
    if (suffix, channels) == (".tif", 4):  # OpenCV does not say that the fourth is transparency
        path.write_bytes(lossless.encode_tiff(pixels[..., [2, 1, 0, 3]]))
    else:
        cv2.imwrite(str(path), pixels)
    photo = photos.read(path, limits)
    assert photo.coding.bits == 16
    colours = deep[..., :1] if channels == 1 else deep
    assert np.array_equal(photo.image, np.broadcast_to(colours / np.float32(65535), deep.shape))
    copier.write(photo, tmp_path / f"output{suffix}", origin, limits)
    back = cv2.imread(str(tmp_path / f"output{suffix}"), cv2.IMREAD_UNCHANGED)
    assert back.dtype == np.uint16
    assert np.array_equal(back.reshape(pixels.shape), pixels)


@pytest.mark.parametrize("channels", (1, 2, 3, 4))
def test_a_16_bit_png_is_written_without_loss(channels: int, tmp_path: Path) -> None:
    pixels = np.random.default_rng(7).integers(0, 1 << 16, (37, 53, channels), np.uint16)
    (tmp_path / "photo.png").write_bytes(lossless.encode_png(pixels))
    back = cv2.imread(str(tmp_path / "photo.png"), cv2.IMREAD_UNCHANGED)
    order = {1: [0], 2: [0, 0, 0, 1], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
    assert back.dtype == np.uint16
    assert np.array_equal(back.reshape(37, 53, -1), pixels[..., order])


def test_a_16_bit_png_of_grey_and_alpha_is_read_and_written(
    tmp_path: Path, origin: Provenance, limits: Limits
) -> None:
    pixels = np.random.default_rng(7).integers(0, 1 << 16, (37, 53, 2), np.uint16)
    raw = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", 53, 37, 16, 4, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(raw)), (b"IEND", b""))
    path, output = tmp_path / "photo.png", tmp_path / "output.png"
    path.write_bytes(png.SIGNATURE + b"".join(png.build(*part) for part in parts))
    photo = photos.read(path, limits)
    copier.write(photo, output, origin, limits)
    for found in (photo, photos.read(output, limits)):
        assert found.coding.bits == 16
        assert found.alpha is not None
        assert np.array_equal(found.alpha, pixels[..., 1:])
        assert np.array_equal(np.rint(found.image[..., 0] * 65535), pixels[..., 0])


def test_a_turned_16_bit_tiff_is_turned_once(
    tmp_path: Path, scene: NDArray[np.uint8], origin: Provenance, limits: Limits
) -> None:
    coded = lossless.encode_tiff(scene.transpose(1, 0, 2).astype(np.uint16) * 257)
    file = tiff.Tiff(io.BytesIO(coded))
    page = file.directory(file.first)
    root = tiff.tree(file, page)
    for tag in tiff.CODED:
        if (entry := page.entries.get(tag)) is not None:
            root.values[tag] = (entry.kind, entry.count, file.bytes_of(entry))
    root.values[tiff.ORIENTATION] = (3, 1, b"\5\0")
    strips = [tiff.take(file.file, *place) for place in file.strips(page)]
    (tmp_path / "photo.tif").write_bytes(tiff.serialise(root, "<", strips))
    photo = photos.read(tmp_path / "photo.tif", limits)
    assert decibels(photo.image, upright(scene)) > 90
    copier.write(photo, tmp_path / "output.tif", origin, limits)
    assert decibels(photos.read(tmp_path / "output.tif", limits).image, upright(scene)) > 90


@pytest.mark.parametrize("bits", (10, 12))
def test_a_heic_keeps_its_bits(
    bits: int, tmp_path: Path, scene: NDArray[np.uint8], origin: Provenance, limits: Limits
) -> None:
    import pillow_heif

    top = (1 << bits) - 1
    deep = (scene.astype(np.float32) / 255 * top).round().astype(np.uint16)
    path = tmp_path / "photo.heic"
    pillow_heif.encode(
        f"RGB;{bits}", (160, 120), deep.tobytes(), path, quality=90, chroma=444, bit_depth=bits
    )
    photo = photos.read(path, limits)
    assert photo.coding.bits == bits
    copier.write(photo, tmp_path / "output.heic", origin, limits)
    back = photos.read(tmp_path / "output.heic", limits)
    assert back.coding.bits == bits
    assert decibels(back.image, photo.image) > 45


@pytest.mark.parametrize("suffix", (".png", ".tif", ".webp"))
def test_transparency_comes_back_as_it_was(
    suffix: str, tmp_path: Path, make: Make, scene: NDArray[np.uint8], origin: Provenance,
    limits: Limits,
) -> None:  # fmt: skip
    pixels = np.dstack([scene, scene[..., 1]])
    photo = photos.read(make(tmp_path / f"photo{suffix}", pixels), limits)
    copier.write(photo.with_image(photo.image * 0.9), tmp_path / "output", origin, limits)
    with Pillow.open(tmp_path / "output") as file:
        assert np.array_equal(np.asarray(file)[..., 3], scene[..., 1])


@pytest.mark.parametrize("suffix", (".png", ".tif", ".webp", ".heic", ".avif"))
def test_an_alpha_that_is_opaque_is_no_reason_to_fail(
    suffix: str, tmp_path: Path, make: Make, scene: NDArray[np.uint8], origin: Provenance,
    limits: Limits,
) -> None:  # fmt: skip
    path = make(tmp_path / f"photo{suffix}", scene)
    if suffix == ".webp":  # Pillow leaves out an opaque alpha: one is stated by the flag alone
        data = bytearray(make(path, scene, exif=b"MM\0*\0\0\0\x08\0\0").read_bytes())
        data[20] |= webp.ALPHA
        path.write_bytes(data)
    else:
        make(path, np.dstack([scene, np.full((120, 160), 255, np.uint8)]))
    photo = photos.read(path, limits)
    copier.write(photo, tmp_path / "output", origin, limits)
    assert decibels(photos.read(tmp_path / "output", limits).image, photo.image) >= FLOOR_DECIBELS


@pytest.mark.parametrize("suffix", (".jpg", ".png", ".tif"))
def test_grey_stays_grey_in_the_file(
    suffix: str, tmp_path: Path, make: Make, scene: NDArray[np.uint8], origin: Provenance,
    limits: Limits,
) -> None:  # fmt: skip
    photo = photos.read(make(tmp_path / f"photo{suffix}", scene[..., 0]), limits)
    assert photo.image.shape == (120, 160, 3)
    copier.write(photo, tmp_path / "output", origin, limits)
    with Pillow.open(tmp_path / "output") as file:
        assert file.mode == "L"


def test_a_photo_may_come_back_larger_when_its_owner_asks(
    tmp_path: Path, make: Make, scene: NDArray[np.uint8], origin: Provenance, limits: Limits
) -> None:
    photo = photos.read(make(tmp_path / "photo.png", np.dstack([scene, scene[..., 0]])), limits)
    copier.write(
        photo.with_image(cv2.resize(photo.image, (320, 240))), tmp_path / "o", origin, limits
    )
    assert size(tmp_path / "o", limits) == (320, 240)


def test_a_file_of_too_many_bytes_is_not_read(tmp_path: Path, make: Make, limits: Limits) -> None:
    path = make(tmp_path / "photo.png")
    for look in (size, photos.read):
        with pytest.raises(TooLarge, match=r"photo\.png has .* MB, more than max_megabytes"):
            look(path, replace(limits, max_bytes=1000))


@pytest.mark.parametrize("suffix", (".jpg", ".png"))
def test_a_header_of_too_many_pixels_is_refused_before_anything_is_allocated(
    suffix: str, tmp_path: Path, make: Make, limits: Limits
) -> None:
    path = make(tmp_path / f"photo{suffix}")
    data = bytearray(path.read_bytes())
    if suffix == ".jpg":
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = (65000).to_bytes(2, "big") * 2
    else:
        data[16:24] = (65000).to_bytes(4, "big") * 2
    path.write_bytes(data)
    for look in (size, photos.read):
        with pytest.raises(TooLarge, match=r"65000 x 65000 pixels"):
            look(path, limits)


def test_a_photo_above_pillows_own_limit_is_read_without_a_warning(
    tmp_path: Path, make: Make, limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path / "photo.jpg")
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 1000)
    assert photos.read(path, limits).image.shape == (120, 160, 3)
    assert Pillow.MAX_IMAGE_PIXELS == 1000


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_breaks_off_is_unreadable(
    suffix: str, tmp_path: Path, make: Make, limits: Limits
) -> None:
    data = make(tmp_path / f"whole{suffix}").read_bytes()
    broken = tmp_path / f"broken{suffix}"
    for part in (0.02, 0.3, 0.6, 0.9, 0.99):
        broken.write_bytes(data[: int(len(data) * part)])
        with pytest.raises(UnreadablePhoto, match="broken"):
            photos.read(broken, limits)
    broken.write_bytes(data[:-1])
    if suffix != ".tif":  # its last byte may be padding
        with pytest.raises(UnreadablePhoto, match="broken"):
            photos.read(broken, limits)


@pytest.mark.parametrize("suffix", (".jpg", ".png", ".webp", ".heic", ".avif"))
def test_a_file_whose_rest_is_still_zero_is_unreadable(
    suffix: str, tmp_path: Path, clear: Path, make: Make, limits: Limits
) -> None:
    photo = photos.read(clear / "photos_full/budgie_cc0/oakland-zoo-otters.jpg", limits)
    pixels = (photo.image[:600, :800] * 255).astype(np.uint8)
    path = make(tmp_path / f"photo{suffix}", pixels)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2].ljust(len(data), b"\0"))
    with pytest.raises(UnreadablePhoto):
        photos.read(path, limits)


def test_what_is_no_regular_file_is_unreadable_and_never_hangs(
    tmp_path: Path, limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "empty.jpg").touch()
    listener = socket.socket(socket.AF_UNIX)
    monkeypatch.chdir(tmp_path)
    listener.bind("socket.jpg")
    paths = [tmp_path / f"{name}.jpg" for name in ("pipe", "folder", "loop", "empty", "socket")]
    looks = (size, photos.read, left_alone)
    for path in [*paths, Path("\0.jpg"), Path("x" * 300 + ".jpg")]:
        for look in looks:
            with pytest.raises(UnreadablePhoto):
                look(path, limits)
        assert photos.ours(path) is None
    listener.close()


def test_an_error_of_the_disk_is_not_the_photos_fault(tmp_path: Path, limits: Limits) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        photos.read(tmp_path / "gone.jpg", limits)
    assert caught.value.errno == errno.ENOENT


def test_the_message_shows_a_name_that_is_not_utf_8(tmp_path: Path, limits: Limits) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.jpg")
    path.write_bytes(b"no photo")
    with pytest.raises(UnreadablePhoto, match=r"caf\\xe9\.jpg"):
        photos.read(path, limits)


def test_nothing_is_written_below_the_free_floor(
    tmp_path: Path, make: Make, origin: Provenance, limits: Limits
) -> None:
    photo = photos.read(make(tmp_path / "photo.jpg"), limits)
    with pytest.raises(OutputFull, match="min_free_megabytes"):
        copier.write(photo, tmp_path / "output", origin, replace(limits, min_free_bytes=1 << 60))
    assert (tmp_path / "output").read_bytes() == b""


def test_times_and_mode_are_kept_but_not_set_user_id(tmp_path: Path, make: Make) -> None:
    source, output = make(tmp_path / "photo.jpg"), make(tmp_path / "output.jpg")
    source.chmod(0o4640)
    os.utime(source, ns=(1, 1_500_000_000_123_456_789))
    copier.keep(source, output)
    status = output.stat()
    assert status.st_mtime_ns == 1_500_000_000_123_456_789
    assert stat.S_IMODE(status.st_mode) == 0o640


def test_results_and_sidecars_are_synced_before_they_get_their_names(
    tmp_path: Path, make: Make, origin: Provenance, limits: Limits, synced: list[str]
) -> None:
    source, output = make(tmp_path / "photo.jpg"), tmp_path / "result.jpg"
    with publishing.draft(output, 1, 1) as draft:
        photos.write(photos.read(source, limits), draft.file, origin, limits)
        assert synced == [str(tmp_path / draft.temporary)]
        publishing.publish(draft, None)
    assert synced[1:] == [str(tmp_path / draft.temporary), str(tmp_path)]
    source.with_name("photo.jpg.xmp").write_text("beside")
    synced.clear()
    copy_sidecar(source, output, STILL)
    temporary, folder = synced
    assert Path(temporary).name.endswith(".tmp") and folder == str(tmp_path)


def test_sidecars_are_copied_along(tmp_path: Path) -> None:
    source, output = tmp_path / "a/photo.jpg", tmp_path / "b/result.jpg"
    source.parent.mkdir()
    output.parent.mkdir()
    copy_sidecar(source, output, STILL)
    assert list(output.parent.iterdir()) == []
    source.with_name("photo.jpg.xmp").write_text("beside")
    os.mkfifo(source.with_name("photo.xmp"))
    copy_sidecar(source, output, STILL)
    assert [path.name for path in output.parent.iterdir()] == ["result.jpg.xmp"]
    source.with_name("photo.xmp").unlink()
    source.with_name("photo.xmp").write_text("instead")
    copy_sidecar(source, output, STILL)
    assert output.with_name("result.xmp").read_text() == "instead"
    assert output.with_name("result.jpg.xmp").read_text() == "beside"


@pytest.mark.parametrize("newer", (False, True))
def test_a_sidecar_that_is_there_stays(newer: bool, tmp_path: Path) -> None:
    source, output = tmp_path / "a/photo.jpg", tmp_path / "b/photo.jpg"
    source.parent.mkdir()
    output.parent.mkdir()
    source.with_name("photo.xmp").write_text("the source's")
    output.with_name("photo.xmp").write_text("its owner's")
    os.utime(source.with_name("photo.xmp"), (0, 2e9 if newer else 1e9))
    copy_sidecar(source, output, STILL)
    assert output.with_name("photo.xmp").read_text() == "its owner's"


def test_a_sidecar_that_is_too_large_or_no_file_is_not_copied(tmp_path: Path) -> None:
    source, output = tmp_path / "a/photo.jpg", tmp_path / "b/photo.jpg"
    source.parent.mkdir()
    output.parent.mkdir()
    with source.with_name("photo.xmp").open("wb") as file:
        file.truncate(17 << 20)
    source.with_name("photo.jpg.xmp").mkdir()
    copy_sidecar(source, output, STILL)
    assert list(output.parent.iterdir()) == []


def test_a_result_has_its_sources_suffix_where_it_can_be_written() -> None:
    assert photos.output_suffix(Path("a/IMG.HEIC")) == ".HEIC"
    assert photos.output_suffix(Path("a/IMG.nef")) == ".jpg"


def test_names_of_photos_are_told_without_an_image_library() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from storage.formats.detect import is_photo_name as f;"
        "assert f('a.JPG') and f('b.nef') and f('c.gif') and not f('d.txt') and not f('.jpg');"
        "assert not {'numpy', 'PIL', 'cv2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_tags_and_ratings_of_file_managers_are_kept_but_no_checksums(tmp_path: Path) -> None:
    source, output = tmp_path / "photo.jpg", tmp_path / "output.jpg"
    source.touch()
    output.touch()
    try:
        os.setxattr(source, "user.baloo.rating", b"8")
    except OSError:
        pytest.skip("this filesystem has no extended attributes")
    os.setxattr(source, "user.com.apple.metadata:_kMDItemUserTags", b"Oma")
    os.setxattr(source, "user.shatag.sha256", b"0123")
    source.chmod(0o440)
    copier.keep(source, output)
    assert {name: os.getxattr(output, name) for name in os.listxattr(output)} == {
        "user.baloo.rating": b"8",
        "user.com.apple.metadata:_kMDItemUserTags": b"Oma",
    }
    assert stat.S_IMODE(output.stat().st_mode) == 0o440


def test_new_folders_of_results_have_the_modes_of_the_sources(tmp_path: Path) -> None:
    gallery = GallerySettings(tmp_path / "photos", output=tmp_path / "mended")
    (gallery.path / "2024/may").mkdir(parents=True)
    for folder, mode in (("2024/may", 0o550), ("2024", 0o775), ("", 0o755)):
        (gallery.path / folder).chmod(mode)
    old = os.umask(0o077)
    try:
        output_folder.prepare("g", gallery, used=False)
        output_folder.make_place(gallery, Beneath(gallery.output_root, Path("2024/may/a.jpg")))
    finally:
        os.umask(old)
    modes = [
        stat.S_IMODE((tmp_path / "mended" / name).stat().st_mode)
        for name in ("", "2024", "2024/may")
    ]
    assert modes == [0o755, 0o775, 0o750]
    (tmp_path / "mended/2024").chmod(0o711)
    output_folder.make_place(gallery, Beneath(gallery.output_root, Path("2024/may/a.jpg")))
    assert stat.S_IMODE((tmp_path / "mended/2024").stat().st_mode) == 0o711
