"""One opening of a photo: how often it is opened, how much of it is read, and what is said of it."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from storage import eligibility, inspection, photos
from storage.errors import TooLarge, UnreadablePhoto
from storage.formats.content_hash import of_file
from storage.formats.read_once import BLOCK_BYTES, ReadOnce
from storage.formats.safe_open import Limits

Make = Callable[..., Path]
SUFFIXES = (".jpg", ".png", ".tif", ".webp", ".heic", ".avif")
SLACK_BYTES = 1000
"""What is read besides the photo: the count itself."""


def bytes_read() -> int:
    """Return how many bytes this process has read from files so far."""
    return int(Path("/proc/self/io").read_text().split()[1])


@pytest.fixture
def large(tmp_path: Path, make: Make, limits: Limits) -> Make:
    """Write 0.4 to 2.2 MB of noise as a photo, after all libraries are loaded that read one."""
    pixels = np.random.default_rng(7).integers(0, 256, (800, 900, 3), np.uint8)

    def made(path: Path, **options: object) -> Path:
        photos.read(make(tmp_path / f"small{path.suffix}"), limits)
        made: Path = make(path, pixels, **options)
        assert made.stat().st_size > 2.5 * BLOCK_BYTES
        return made

    return made


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_all_that_classification_asks_opens_a_photo_once_and_reads_no_byte_twice(
    suffix: str, tmp_path: Path, large: Make, limits: Limits, opened_files: list[str]
) -> None:
    path = large(tmp_path / f"photo{suffix}")
    with path.open("rb") as file:
        known = of_file(file)
    opened_files.clear()
    before = bytes_read()
    with inspection.opened(path, limits) as seen:
        assert eligibility.left_alone(seen) is None
        assert seen.size == (900, 800)
        assert seen.content_hash == known
        photo = photos.decoded(seen)
    assert bytes_read() - before < path.stat().st_size + SLACK_BYTES
    assert opened_files.count(path.name) == 1
    assert photo.image.shape == (800, 900, 3)
    assert photo.source_bytes == path.stat().st_size


@pytest.mark.parametrize(
    "name", ("IMG_1.NEF", "a.gif", "Screenshot_1.png", "IMG-20240101-WA0001.jpg")
)
def test_what_its_name_decides_is_not_opened(
    name: str, tmp_path: Path, limits: Limits, opened_files: list[str]
) -> None:
    (tmp_path / name).write_bytes(b"no photo")
    opened_files.clear()
    with inspection.opened(tmp_path / name, limits) as seen:
        assert eligibility.left_alone(seen)
    assert name not in opened_files


@pytest.mark.parametrize("suffix", (".jpg", ".webp", ".heic", ".avif"))
def test_of_what_its_header_decides_only_the_header_is_read(
    suffix: str, tmp_path: Path, large: Make, packet: bytes, limits: Limits
) -> None:
    edited = packet.replace(b"Firmware 1.2", b"GIMP 2.10")
    path = large(tmp_path / f"photo{suffix}", xmp=edited)
    before = bytes_read()
    with inspection.opened(path, limits) as seen:
        assert eligibility.left_alone(seen) == "an edit or export of GIMP 2.10"
    assert bytes_read() - before < 2 * BLOCK_BYTES + SLACK_BYTES


def test_the_memory_of_what_its_header_decides_does_not_grow_with_the_file(
    tmp_path: Path, large: Make, limits: Limits
) -> None:
    path = large(tmp_path / "photo.jpg")
    os.truncate(path, 200_000_000)
    with inspection.opened(path, limits) as seen:
        before = psutil.Process().memory_info().rss
        assert seen.header.width == 900
        assert psutil.Process().memory_info().rss - before < 20_000_000


def test_a_file_that_was_emptied_after_it_was_opened_has_no_bytes(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    with (tmp_path / "photo.jpg").open("rb") as file, ReadOnce(file.fileno(), 0) as parts:
        assert (parts.read(9), parts.whole()) == (b"", b"")


def test_nothing_is_read_of_a_file_of_too_many_bytes(
    tmp_path: Path, large: Make, limits: Limits
) -> None:
    path = large(tmp_path / "photo.jpg")
    before = bytes_read()
    with inspection.opened(path, replace(limits, max_bytes=1000)) as seen:
        assert eligibility.left_alone(seen) is None
        for ask in (lambda: seen.size, lambda: seen.content_hash, lambda: photos.decoded(seen)):
            with pytest.raises(TooLarge, match="more than max_megabytes"):
                ask()
    assert bytes_read() - before < SLACK_BYTES


@pytest.mark.parametrize("change", ("another", "longer", "shorter"))
def test_a_photo_that_changes_while_it_is_read_is_not_mixed_of_two_versions(
    change: str, tmp_path: Path, large: Make, limits: Limits
) -> None:
    path = large(tmp_path / "photo.jpg")
    data = path.read_bytes()
    changed = {"another": data[::-1], "longer": data + b"0", "shorter": data[:-1]}[change]
    with inspection.opened(path, limits) as seen:
        assert seen.size == (900, 800)
        path.write_bytes(changed)
        os.utime(path, (1, 1))
        with pytest.raises(UnreadablePhoto, match=r"photo\.jpg .* while it was read"):
            _ = seen.content_hash


def test_a_photo_that_is_replaced_while_it_is_read_is_read_as_it_was(
    tmp_path: Path, large: Make, make: Make, limits: Limits
) -> None:
    path = large(tmp_path / "photo.jpg")
    with inspection.opened(path, limits) as seen:
        assert seen.size == (900, 800)
        make(tmp_path / "other.jpg").replace(path)
        assert photos.decoded(seen).image.shape == (800, 900, 3)


def test_an_inspection_leaves_nothing_open(tmp_path: Path, make: Make, limits: Limits) -> None:
    path = make(tmp_path / "photo.png")
    photos.read(path, limits)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with inspection.opened(path, limits) as seen:
        photos.decoded(seen)
        assert len(list(Path("/proc/self/fd").iterdir())) == before
        assert seen.size == (160, 120)  # known already
        with pytest.raises(ValueError, match="closed"):
            _ = seen.data
