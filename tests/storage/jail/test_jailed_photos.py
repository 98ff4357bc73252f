"""Photos are the same whether they are read and written in a jail or not, in all formats."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow

from storage import coded_photos, eligibility, inspection, jail, photos
from storage.errors import PhotomendError
from storage.formats.safe_open import Limits
from storage.metadata import sidecar
from storage.metadata.provenance import Provenance
from tests.storage import copier

Make = Callable[..., Path]
SUFFIXES = (".jpg", ".png", ".tif", ".webp", ".heic", ".avif")
KINDS = (*SUFFIXES, "grey.jpg", "alpha.png", "alpha.webp", "16.png", "16.tif", "jpeg.tif")

CYRILLIC = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:dc="http://purl.org/dc/elements/1.1/">
 <rdf:Description rdf:about="" dc:format="\u0430\u0431"/></rdf:RDF></x:xmpmeta>"""


@pytest.fixture(scope="module", autouse=True)
def jailed() -> Iterator[None]:
    """One jail for all tests of this module."""
    with jail.used():
        yield


@pytest.fixture
def directly(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], Any]:
    """Call a function that uses no jail."""

    def called(function: Callable[[], Any]) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(jail, "_in_use", [])
            return function()

    return called


@pytest.fixture
def photo(
    make: Make, scene: NDArray[np.uint8], icc: bytes, block: Callable[..., bytes], packet: bytes,
    tmp_path: Path,
) -> Callable[[str], Path]:  # fmt: skip
    """Write a photo of a kind, with all metadata that it can have."""

    def written(kind: str) -> Path:
        path = tmp_path / f"photo{kind}" if kind in SUFFIXES else tmp_path / kind
        match kind:
            case "16.png" | "16.tif":
                cv2.imwrite(str(path), scene[..., ::-1].astype(np.uint16) * 257)
            case "jpeg.tif":
                Pillow.fromarray(scene).save(path, compression="jpeg")
            case "grey.jpg":
                make(path, scene[..., 0])
            case "alpha.png" | "alpha.webp":
                make(path, np.dstack([scene, scene[..., 0]]))
            case _:
                make(path, exif=block(6), xmp=packet, profile=icc)
        return path

    return written


def outcome(read: Callable[[], Any]) -> Any:
    """Return what a function returns, or its error as text."""
    try:
        return read()
    except (PhotomendError, OSError) as error:
        return f"{type(error).__name__}: {error}"


def facts(path: Path, limits: Limits) -> Any:
    """Return all that classification asks of a photo, without its pixels."""
    with inspection.opened(path, limits) as seen:
        reason = eligibility.left_alone(seen)
        return reason, seen.size, seen.content_hash, photos.ours(path), photos.untouched(path)


def assert_same(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    if not isinstance(one, photos.Photo):
        assert one == other
        return
    for field in dataclasses.fields(one):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if isinstance(mine, np.ndarray):
            assert mine.dtype == theirs.dtype
            np.testing.assert_array_equal(mine, theirs)
        else:
            assert mine == theirs, field.name


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_and_facts_are_the_same_in_a_jail(
    kind: str, photo: Callable[[str], Path], directly: Callable[..., Any], limits: Limits
) -> None:
    path = photo(kind)
    assert facts(path, limits) == directly(lambda: facts(path, limits))
    assert_same(photos.read(path, limits), directly(lambda: photos.read(path, limits)))


@pytest.mark.parametrize("kind", KINDS)
def test_copies_are_the_same_from_a_jail(
    kind: str, photo: Callable[[str], Path], directly: Callable[..., Any], limits: Limits,
    origin: Provenance, tmp_path: Path,
) -> None:  # fmt: skip
    path, one, other = photo(kind), tmp_path / "one", tmp_path / "other"
    found = photos.read(path, limits)
    mine = copier.write(found, one, origin, limits)
    theirs = directly(lambda: copier.write(found, other, origin, limits))
    assert (mine.turn, mine.dropped, mine.receipt) == (theirs.turn, theirs.dropped, theirs.receipt)
    assert photos.ours(one) == directly(lambda: photos.ours(other))
    assert photos.untouched(one)
    np.testing.assert_array_equal(
        photos.read(one, limits).image, directly(lambda: photos.read(other, limits)).image
    )
    again = tmp_path / "again"
    assert copier.refreshed(path, one, again, origin, limits).turn == mine.turn
    assert photos.untouched(again)


def test_a_copy_whose_source_was_turned_is_turned_in_a_jail(
    make: Make, block: Callable[..., bytes], tmp_path: Path, limits: Limits, origin: Provenance
) -> None:
    path = make(tmp_path / "photo.jpg", exif=block(1))
    copier.write(photos.read(path, limits), tmp_path / "old", origin, limits)
    turned = make(tmp_path / "photo.jpg", exif=block(6))
    copier.refreshed(turned, tmp_path / "old", tmp_path / "new", origin, limits)
    assert photos.read(tmp_path / "new", limits).image.shape == (160, 120, 3)


def test_a_sidecar_is_judged_and_turned_in_a_jail(
    make: Make, block: Callable[..., bytes], packet: bytes, tmp_path: Path, limits: Limits,
    origin: Provenance,
) -> None:  # fmt: skip
    path = make(tmp_path / "photo.jpg", exif=block(6))
    (tmp_path / "photo.xmp").write_bytes(packet)
    with inspection.opened(path, limits) as seen:
        assert eligibility.left_alone(seen) is None
    written = copier.write(photos.read(path, limits), tmp_path / "copy.jpg", origin, limits)
    sidecar.copy_sidecar(path, tmp_path / "copy.jpg", written.turn)
    assert b"Oma" in (tmp_path / "copy.xmp").read_bytes()
    (tmp_path / "photo.xmp").write_bytes(b"no XMP")
    with inspection.opened(path, limits) as seen:
        assert "its sidecar photo.xmp cannot be read" in str(eligibility.left_alone(seen))


def test_a_packet_of_an_unusual_encoding_is_read_in_a_jail(
    make: Make, tmp_path: Path, limits: Limits
) -> None:
    path = make(tmp_path / "photo.jpg")
    declared = b'<?xml version="1.0" encoding="koi8-r"?>' + CYRILLIC.encode("koi8-r")
    (tmp_path / "photo.xmp").write_bytes(declared)
    with inspection.opened(path, limits) as seen:
        assert eligibility.left_alone(seen) is None


@pytest.mark.parametrize(("folder", "number"), [("robust", 60), ("photos_full", 2)])
def test_found_photos_are_the_same_in_a_jail(
    folder: str, number: int, clear: Path, directly: Callable[..., Any], limits: Limits
) -> None:
    found = [path for path in (clear / folder).rglob("*") if path.is_file()]
    assert len(found) > number
    for path in sorted(found, key=lambda path: path.stat().st_size)[:number]:
        one = outcome(lambda path=path: facts(path, limits))
        assert one == directly(lambda path=path: outcome(lambda: facts(path, limits))), path
        one = outcome(lambda path=path: photos.read(path, limits))
        assert_same(one, directly(lambda path=path: outcome(lambda: photos.read(path, limits))))


def test_nothing_stays_open_of_a_photo(photo: Callable[[str], Path], limits: Limits) -> None:
    path = photo(".jpg")
    mine, inside = set[int](), set[int]()
    for _ in range(20):
        facts(path, limits)
        photos.read(path, limits)
        mine.add(opened())
        inside.add(opened(jail.use().pid))
    # The last answer's memory is closed a moment after the answer has arrived.
    assert (max(mine) - min(mine), max(inside) - min(inside) <= 1) == (0, True)


def opened(process: int | None = None) -> int:
    return len(list(Path(f"/proc/{process or 'self'}/fd").iterdir()))


class ReadOutside(BaseException):
    """The parent reads a photo; no code takes this for an error of the photo."""


def test_the_parent_reads_no_byte_of_a_photo(
    photo: Callable[[str], Path], limits: Limits, origin: Provenance, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """All that reads bytes of files is taken away from this process."""

    def refuse(*_: object, **__: object) -> None:
        raise ReadOutside

    for kind in (".jpg", ".heic"):
        path = photo(kind)
        path.with_suffix(".xmp").write_bytes(b"no XMP")
        with monkeypatch.context() as patch:
            for module in ("headers.read", "decode.decode", "content_hash.of_file", "detect.sniff"):
                patch.setattr(f"storage.formats.{module}", refuse)
            for module in ("jpeg", "isobmff", "exif", "tiff"):
                for name in ("metadata", "read", "facts", "Tiff", "frame", "coded"):
                    patch.setattr(
                        f"storage.formats.containers.{module}.{name}", refuse, raising=False
                    )
            for name in ("blocks.extract", "xmp.parse", "xmp.parse_or_empty", "xmp.fault"):
                patch.setattr(f"storage.metadata.{name}", refuse)
            patch.setattr(coded_photos.encode, "encode", refuse)
            for module in ("inspection", "formats.safe_open"):
                patch.setattr(f"storage.{module}.sniff", refuse)
            patch.setattr(Pillow, "open", refuse)
            facts(path, limits)
            found = photos.read(path, limits)
            written = copier.write(found, tmp_path / f"copy{kind}", origin, limits)
            sidecar.copy_sidecar(path, tmp_path / f"copy{kind}", written.turn)
