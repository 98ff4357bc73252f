import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow

from storage import eligibility, inspection, photos
from storage.errors import UnreadablePhoto
from storage.formats import arrays, encode
from storage.formats.containers import Malformed
from storage.formats.content_hash import of_file
from storage.formats.detect import Format
from storage.formats.safe_open import Limits, opened
from storage.metadata import blocks
from storage.metadata.provenance import Provenance
from tests.storage import copier

Make = Callable[..., Path]
SUFFIXES = (".jpg", ".png", ".tif", ".webp", ".heic", ".avif")


def write(source: Path, output: Path, origin: Provenance, limits: Limits) -> Path:
    copier.write(photos.read(source, limits), output, origin, limits)
    return output


def content_hash(path: Path) -> str:
    with path.open("rb") as file:
        return of_file(file)


def size(path: Path, limits: Limits) -> tuple[int, int]:
    with inspection.opened(path, limits) as seen:
        return seen.size


def left_alone(path: Path, limits: Limits) -> str | None:
    with inspection.opened(path, limits) as seen:
        return eligibility.left_alone(seen)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_tag_does_not_change_the_content_hash_and_a_pixel_does(
    suffix: str, tmp_path: Path, make: Make, block: Callable[..., bytes], packet: bytes,
    scene: NDArray[np.uint8],
) -> None:  # fmt: skip
    options = {"compression": "tiff_lzw"} if suffix == ".tif" else {}
    plain = make(tmp_path / f"plain{suffix}", **options)
    tagged = make(tmp_path / f"tagged{suffix}", exif=block(), xmp=packet, **options)
    other = scene.copy()
    other[40:60, 40:60] = 255 - other[40:60, 40:60]
    edited = make(tmp_path / f"edited{suffix}", other, **options)
    assert plain.read_bytes() != tagged.read_bytes()
    assert content_hash(plain) == content_hash(tagged)
    assert content_hash(plain) != content_hash(edited)


def test_a_file_of_no_known_structure_is_hashed_whole(tmp_path: Path) -> None:
    hashes = set()
    for text in (b"no photo", b"no photo!", b"\xff\xd8\xff\xe0broken", b"\x89PNG\r\n\x1a\n?"):
        (tmp_path / "photo.jpg").write_bytes(text)
        hashes.add(content_hash(tmp_path / "photo.jpg"))
    assert len(hashes) == 4


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_result_is_known_as_ours_and_untouched_until_a_pixel_changes(
    suffix: str, tmp_path: Path, make: Make, origin: Provenance, limits: Limits
) -> None:
    source = make(tmp_path / f"photo{suffix}")
    assert photos.ours(source) is None
    assert not photos.untouched(source)
    output = write(source, tmp_path / f"output{suffix}", origin, limits)
    assert photos.ours(output) == replace(origin, image_hash=content_hash(output))
    assert photos.untouched(output)
    assert left_alone(output, limits) == "photomend made it"
    changed = write(source, tmp_path / f"changed{suffix}", origin, limits)
    photo = photos.read(changed, limits)
    kind = photo.coding.kind
    coded = encode.encode(
        arrays.to_pixels(1 - photo.image, None, photo.coding), photo.coding, b"", 1 << 20
    ).data
    changed.write_bytes(blocks.splice(coded, kind, photo.metadata))
    assert photos.ours(changed) is not None
    assert not photos.untouched(changed)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_refreshed_output_has_the_new_tags_and_the_old_pixels(
    suffix: str, tmp_path: Path, make: Make, block: Callable[..., bytes], packet: bytes,
    origin: Provenance, limits: Limits,
) -> None:  # fmt: skip
    source = make(tmp_path / f"photo{suffix}")
    output = write(source, tmp_path / f"output{suffix}", origin, limits)
    tagged = make(tmp_path / f"photo{suffix}", exif=block(), xmp=packet)
    fresh = tmp_path / f"fresh{suffix}"
    sha256 = copier.refreshed(tagged, output, fresh, origin, limits).sha256
    assert sha256 == hashlib.sha256(fresh.read_bytes()).hexdigest()
    assert content_hash(fresh) == content_hash(output)
    assert photos.untouched(fresh)
    found = photos.read(fresh, limits)
    assert np.array_equal(found.image, photos.read(output, limits).image)
    assert b'Rating="4"' in found.metadata.xmp
    if suffix != ".tif":  # the TIFFs made here cannot hold both
        assert found.metadata.facts.make == "Canon"


@pytest.mark.parametrize("suffix", (".heic", ".avif"))
def test_tags_that_went_leave_no_trace_in_a_refreshed_output(
    suffix: str, tmp_path: Path, make: Make, block: Callable[..., bytes], origin: Provenance,
    limits: Limits,
) -> None:  # fmt: skip
    source = make(tmp_path / f"photo{suffix}", exif=block())
    output = write(source, tmp_path / f"output{suffix}", origin, limits)
    assert b"EOS 40D" in output.read_bytes()
    make(source)
    copier.refreshed(source, output, tmp_path / "fresh", origin, limits)
    assert b"EOS 40D" not in (tmp_path / "fresh").read_bytes()


def test_a_refreshed_output_of_a_turned_photo_stays_upright(
    tmp_path: Path, make: Make, block: Callable[..., bytes], origin: Provenance, limits: Limits
) -> None:
    source = make(tmp_path / "photo.jpg", exif=block(6))
    output = write(source, tmp_path / "output.jpg", origin, limits)
    copier.refreshed(source, output, tmp_path / "fresh.jpg", origin, limits)
    assert size(tmp_path / "fresh.jpg", limits) == (120, 160)
    with Pillow.open(tmp_path / "fresh.jpg") as file:
        assert file.getexif()[0x0112] == 1
        assert file.getexif().get_ifd(0x8769)[0xA002] == 120


@pytest.mark.parametrize("suffix", (".jpg", ".png", ".webp"))
@pytest.mark.parametrize(("before", "now"), ((1, 6), (6, 1), (8, 5), (1, 3)))
def test_a_refreshed_output_follows_when_its_owner_turns_the_source_by_its_tag(
    before: int, now: int, suffix: str, tmp_path: Path, make: Make, block: Callable[..., bytes],
    origin: Provenance, limits: Limits,
) -> None:  # fmt: skip
    source = make(tmp_path / f"photo{suffix}", exif=block(before))
    known = content_hash(source)
    output = write(source, tmp_path / f"output{suffix}", origin, limits)
    make(source, exif=block(now))
    assert content_hash(source) == known
    fresh, again = tmp_path / f"fresh{suffix}", tmp_path / f"again{suffix}"
    copier.refreshed(source, output, fresh, origin, limits)
    copier.refreshed(source, fresh, again, origin, limits)
    assert photos.untouched(fresh)
    assert content_hash(again) == content_hash(fresh)
    wanted, found = photos.read(source, limits), photos.read(again, limits)
    assert found.metadata.orientation == 1
    assert found.image.shape == wanted.image.shape
    assert float(np.abs(found.image - wanted.image).mean()) < 0.01


def test_an_output_in_which_no_tags_fit_is_named_when_it_cannot_be_refreshed(
    tmp_path: Path, make: Make, origin: Provenance, limits: Limits
) -> None:
    path = make(tmp_path / "photo.heic")
    with pytest.raises(UnreadablePhoto, match=r"photo\.heic"):
        copier.refreshed(path, path, tmp_path / "fresh", origin, limits)


def test_the_content_hash_of_an_empty_or_odd_file_is_that_of_all_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "photo.heic"
    for data in (b"", b"\0\0\0\x0cftypheic\0\0\0\x14meta\0\0\0\0\0\0\0\x08pitm"):
        path.write_bytes(data)
        assert content_hash(path) == hashlib.sha256(data).hexdigest()


def test_what_is_no_file_has_no_content_hash_and_that_is_not_the_disks_fault(
    tmp_path: Path, limits: Limits
) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path, tmp_path / "pipe.jpg"):
        with (
            inspection.opened(path, limits) as seen,
            pytest.raises(UnreadablePhoto, match="no regular file"),
        ):
            _ = seen.content_hash


def test_a_lack_of_memory_is_not_said_to_be_a_broken_photo(tmp_path: Path, make: Make) -> None:
    with pytest.raises(MemoryError), opened(make(tmp_path / "photo.jpg")):
        raise MemoryError


def test_the_source_is_never_changed(
    tmp_path: Path, make: Make, origin: Provenance, limits: Limits
) -> None:
    source = make(tmp_path / "photo.jpg")
    source.chmod(0o400)
    before, status = source.read_bytes(), source.stat()
    output = write(source, tmp_path / "output.jpg", origin, limits)
    copier.refreshed(source, output, tmp_path / "fresh.jpg", origin, limits)
    left_alone(source, limits)
    assert source.read_bytes() == before
    assert source.stat().st_mtime_ns == status.st_mtime_ns
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["fresh.jpg", "output.jpg", "photo.jpg"]


def test_a_file_without_room_for_metadata_is_not_forced(tmp_path: Path, make: Make) -> None:
    path = make(tmp_path / "photo.heic")
    with pytest.raises(Malformed):
        blocks.splice(path.read_bytes(), Format.HEIC, blocks.Metadata(xmp=b"x"))
