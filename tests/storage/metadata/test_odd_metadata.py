"""Metadata that are written in an unusual way, and what of them a copy has."""

import hashlib
import io
import itertools
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageCms

from storage import inspection
from storage.formats.containers import jpeg, png
from storage.formats.safe_open import Limits
from storage.metadata import extended_xmp, photoshop, xmp
from storage.metadata.blocks import Metadata
from storage.metadata.provenance import Provenance
from tests.storage.metadata.test_exiftool import mend

Make = Callable[..., Path]
RDF = (
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
    'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
    'xmlns:GCamera="http://ns.google.com/photos/1.0/camera/">'
    "<rdf:Description {}>{}</rdf:Description></rdf:RDF>"
)


@pytest.fixture
def found(
    origin: Provenance, limits: Limits
) -> Callable[[Path], tuple[Metadata, Metadata, np.ndarray]]:
    """Return the metadata of a photo, those of its copy, and the pixels of the copy."""

    def read(source: Path) -> tuple[Metadata, Metadata, np.ndarray]:
        told = []
        for path in (source, mend(source, origin, limits)):
            with inspection.opened(path, limits) as seen:
                told.append(seen.metadata)
        with Pillow.open(path) as file:
            return told[0], told[1], np.asarray(file)

    return read


@pytest.mark.parametrize(
    "stated",
    (
        "<tiff:Orientation> 6\n</tiff:Orientation>",
        "<tiff:Orientation><rdf:Seq>\n<rdf:li>6</rdf:li></rdf:Seq></tiff:Orientation>",
        '<tiff:Orientation rdf:parseType="Resource"><rdf:value>6</rdf:value></tiff:Orientation>',
    ),
)
def test_an_orientation_in_a_list_or_a_structure_turns_the_photo(
    stated: str, tmp_path: Path, make: Make, found: Callable[..., tuple[Metadata, ...]]
) -> None:
    source = make(tmp_path / "photo.jpg", xmp=RDF.format("", stated).encode())
    before, after, pixels = found(source)
    assert (before.orientation, after.orientations) == (6, [1])
    assert pixels.shape == (160, 120, 3)  # type: ignore[attr-defined]


def test_ends_of_lines_stay_as_the_owner_wrote_them() -> None:
    text = "<dc:title>one&#13;\ntwo&#9;three</dc:title>"
    packet = xmp.parse(RDF.format('xmp:Label="a&#13;b"', text).encode())
    again = xmp.parse(packet.serialise())
    assert again.text("dc:title") == "one\r\ntwo\tthree"
    assert again.text("xmp:Label") == "a\rb"


def test_the_name_of_a_burst_stays_in_xmp() -> None:
    camera = 'GCamera:BurstID="7" GCamera:MicroVideo="0" GCamera:MotionPhotoVersion="1"'
    packet = xmp.parse(RDF.format(camera, "").encode())
    packet.drop_ties()
    assert list(packet.names()) == ["{http://ns.google.com/photos/1.0/camera/}BurstID"]


def test_an_extension_is_found_by_its_name_in_small_letters() -> None:
    extension = RDF.format('xmp:Label="red"', "").encode()
    guid = hashlib.md5(extension, usedforsecurity=False).hexdigest()
    note = f'xmlns:n="http://ns.adobe.com/xmp/note/" n:HasExtendedXMP="{guid}"'
    head = extended_xmp.PREFIX + guid.upper().encode() + struct.pack(">II", len(extension), 0)
    packet = extended_xmp.joined(RDF.format(note, "").encode(), [head + extension])
    assert packet.text("xmp:Label") == "red"


@pytest.mark.parametrize("numbers", ((2, 1), (1, 1), (0, 1), (1, 3)))
def test_a_profile_is_whole_however_its_pieces_are_numbered(
    numbers: tuple[int, int], tmp_path: Path, make: Make, found: Callable[..., tuple[Metadata, ...]]
) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    halves = [profile[:200], profile[200:]]
    pieces = zip(numbers, halves if numbers != (2, 1) else reversed(halves), strict=True)
    parts = [(0xE2, b"ICC_PROFILE\0" + bytes((number, 2)) + piece) for number, piece in pieces]
    source = make(tmp_path / "photo.jpg")
    source.write_bytes(jpeg.splice(io.BytesIO(source.read_bytes()), parts))
    before, after, _ = found(source)
    assert (before.icc, after.icc, before.dropped) == (profile, profile, ())


def resource(number: int, data: bytes) -> bytes:
    """Return a resource of Photoshop, of an even length."""
    return b"8BIM" + struct.pack(">HHI", number, 0, len(data)) + data


@pytest.mark.parametrize("cut", (30, 200, 70_030))
def test_resources_that_lie_in_two_segments_are_one_block(
    cut: int, tmp_path: Path, make: Make, found: Callable[..., tuple[Metadata, ...]]
) -> None:
    first, last = resource(1028, b"\x1c\x02\x78\0\4text" * 20), resource(1062, b"styles")
    block = first + resource(1036, bytes(70_000)) + last + resource(1061, b"digest" * 20_000)
    places = sorted({0, cut, 60_000, 110_000, 160_000, len(block)})
    pieces = [block[at:stop] for at, stop in itertools.pairwise(places)]
    source = make(tmp_path / "photo.jpg")
    parts = [(0xED, photoshop.JPEG_PREFIX + piece) for piece in pieces]
    source.write_bytes(jpeg.splice(io.BytesIO(source.read_bytes()), parts))
    _, after, _ = found(source)
    kept = b"".join(
        body.removeprefix(photoshop.JPEG_PREFIX) for kind, body in after.jpeg if kind == 0xED
    )
    assert kept == first + last + resource(1061, b"digest" * 20_000)


def with_chunks(path: Path, *chunks: tuple[bytes, bytes]) -> Path:
    """Write these chunks into a PNG."""
    path.write_bytes(png.splice(io.BytesIO(path.read_bytes()), chunks))
    return path


def raw_profile(kind: str, data: bytes) -> tuple[bytes, bytes]:
    """Return a profile in ImageMagick's older form."""
    text = f"\n{kind}\n{len(data):8}\n{data.hex()}\n".encode()
    return b"zTXt", f"Raw profile type {kind}\0\0".encode() + zlib.compress(text)


def test_a_png_with_two_packets_keeps_what_both_say(
    tmp_path: Path, make: Make, found: Callable[..., tuple[Metadata, ...]]
) -> None:
    one, other = (RDF.format(text, "").encode() for text in ('xmp:Rating="4"', 'xmp:Label="red"'))
    standard = (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + one)
    source = with_chunks(make(tmp_path / "photo.png"), raw_profile("xmp", other), standard)
    packet = xmp.parse(found(source)[1].xmp)
    assert (packet.text("xmp:Rating"), packet.text("xmp:Label")) == ("4", "red")


@pytest.mark.parametrize("same", (False, True))
def test_the_standard_exif_of_a_png_comes_before_the_older_form(
    same: bool, tmp_path: Path, make: Make, block: Callable[..., bytes],
    found: Callable[..., tuple[Metadata, ...]],
) -> None:  # fmt: skip
    older = raw_profile("exif", b"Exif\0\0" + block(6 if same else 8))
    source = with_chunks(make(tmp_path / "photo.png"), older, (b"eXIf", block(6)))
    before, after, _ = found(source)
    assert (before.orientation, after.orientation) == (6, 1)
    assert before.dropped == (() if same else ("a second EXIF block",))
