"""Metadata turn with the pixels."""

import io
import json
import os
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import PngImagePlugin

from storage import photos
from storage.errors import UnreadablePhoto
from storage.formats.containers import jpeg
from storage.formats.safe_open import Limits
from storage.formats.turn import Turn
from storage.metadata import extended_xmp, jpeg_blocks, photoshop, provenance, sidecar, xmp
from storage.metadata.blocks import Metadata
from storage.metadata.provenance import Provenance
from storage.metadata.turned_xmp import turn_packet
from tests.storage import copier
from tests.storage.metadata.test_exiftool import exiftool, mend, read, same

Make = Callable[..., Path]
CASES = Path(__file__).parents[3] / "../shared/cases/files"
NAMESPACES = " ".join(
    f'xmlns:{prefix}="{space}"' for prefix, space in xmp.NAMESPACES.items() if prefix != "xml"
)
SIX = Turn(6, (480, 320), (480, 320))


@pytest.fixture
def case(tmp_path: Path) -> Callable[[str], Path]:
    """Copy a small file that once went wrong, with what lies beside it."""

    def copied(name: str) -> Path:
        if not CASES.is_dir():
            pytest.skip("the files that once went wrong are not on this machine")
        for path in CASES.glob(f"{name}*"):
            shutil.copy(path, tmp_path)
        return min(tmp_path.glob(f"{name}*"))

    return copied


def packet(inner: str) -> xmp.Packet:
    return xmp.parse(
        f"<rdf:RDF {NAMESPACES}><rdf:Description>{inner}</rdf:Description></rdf:RDF>".encode()
    )


def turned(inner: str, turn: Turn = SIX) -> str:
    found = packet(inner)
    turn_packet(found, turn)
    return xmp.parse(found.serialise()).serialise().decode()


def test_faces_subject_and_sizes_of_a_turned_photo_turn_with_it(
    case: Callable[[str], Path], origin: Provenance, limits: Limits
) -> None:
    source = case("b06-orientation-6-faces")
    told = read(mend(source, origin, limits))[0]
    for key, value in {
        "IFD0:Orientation": 1, "ExifIFD:SubjectArea": "400 120 60 50",
        "XMP-mwg-rs:RegionAppliedToDimensionsW": 480, "XMP-mwg-rs:RegionAppliedToDimensionsH": 320,
        "XMP-mwg-rs:RegionAreaX": 0.6, "XMP-mwg-rs:RegionAreaY": 0.25,
        "XMP-mwg-rs:RegionAreaW": 0.2, "XMP-mwg-rs:RegionAreaH": 0.1,
        "XMP-mwg-rs:RegionName": "Oma", "Composite:ImageSize": "480 320",
    }.items():  # fmt: skip
        assert same(told[key], value), key


def test_what_lies_in_several_segments_turns_too(
    tmp_path: Path, make: Make, block: Callable[..., bytes], origin: Provenance, limits: Limits
) -> None:
    name = "Oma" * 30_000
    found = packet(
        '<mwg-rs:Regions><rdf:Description><mwg-rs:AppliedToDimensions stDim:w="160" stDim:h="120"/>'
        f'<mwg-rs:RegionList><rdf:Bag><rdf:li><rdf:Description mwg-rs:Name="{name}"><mwg-rs:Area'
        ' stArea:x="0.25" stArea:y="0.4" stArea:w="0.1" stArea:h="0.2"/></rdf:Description></rdf:li>'
        "</rdf:Bag></mwg-rs:RegionList></rdf:Description></mwg-rs:Regions>"
    )
    main, further = extended_xmp.split(found.serialise())
    assert b"Regions" not in main
    parts = jpeg_blocks.segments(block(6) + bytes(70_000), b"", b"", (), b"")
    parts += [(0xE1, jpeg_blocks.XMP + main), *((0xE1, body) for body in further)]
    source = make(tmp_path / "photo.jpg")
    source.write_bytes(jpeg.splice(io.BytesIO(source.read_bytes()), parts))
    told = read(mend(source, origin, limits))[0]
    for key, value in {
        "IFD0:Orientation": 1, "XMP-mwg-rs:RegionName": name,
        "XMP-mwg-rs:RegionAreaX": 0.6, "XMP-mwg-rs:RegionAreaY": 0.25,
        "XMP-mwg-rs:RegionAreaW": 0.2, "XMP-mwg-rs:RegionAreaH": 0.1,
    }.items():  # fmt: skip
        assert same(told[key], value), key


def test_an_orientation_in_a_byte_is_written_back_as_1(
    case: Callable[[str], Path], origin: Provenance, limits: Limits
) -> None:
    told = read(mend(case("b09-orientation-byte"), origin, limits))[0]
    assert told["IFD0:Orientation"] == 1
    assert told["Composite:ImageSize"] == "480 320"


def test_no_field_of_ours_has_a_name_that_readers_know(
    case: Callable[[str], Path], origin: Provenance, limits: Limits
) -> None:
    output = mend(case("f23-irot"), origin, limits)
    names = ("-Orientation", "-Software", "-Category", "-Source")
    told = json.loads(exiftool("-json", "-n", *names, output))[0]
    assert {key: value for key, value in told.items() if key != "SourceFile"} == {"Orientation": 1}


@pytest.mark.parametrize("suffix", (".xmp", ".XMP"))
@pytest.mark.parametrize("whole_name", (True, False))
def test_a_sidecar_is_turned_with_its_photo(
    suffix: str, whole_name: bool, case: Callable[[str], Path], tmp_path: Path,
    origin: Provenance, limits: Limits,
) -> None:  # fmt: skip
    source = case("s01-orient6")
    beside = source.with_name(source.name + ".xmp")
    mine = beside.with_name((source.name if whole_name else source.stem) + suffix)
    found = xmp.parse(beside.read_bytes())
    found.set("tiff:Orientation", "6")
    found.root[0].append(_region())
    beside.unlink()
    mine.write_bytes(found.serialise())
    mine.chmod(0o640)
    output = tmp_path / "out" / source.name
    output.parent.mkdir()
    written = copier.write(photos.read(source, limits), output, origin, limits)
    old = os.umask(0o077)
    try:
        sidecar.copy_sidecar(source, output, written.turn)
    finally:
        os.umask(old)
    copies = [path for path in output.parent.iterdir() if path != output]
    assert [path.name for path in copies] == [mine.name]
    copied = xmp.parse(copies[0].read_bytes())
    assert copied.text("tiff:Orientation") == "1"
    assert copied.text("xmp:Rating") == "4"
    assert 'stArea:x="0.6"' in copies[0].read_text()
    assert copies[0].stat().st_mode & 0o777 == 0o640


def test_a_damaged_sidecar_is_mended_and_turned_or_not_copied(tmp_path: Path) -> None:
    source, output = tmp_path / "a.jpg", tmp_path / "b.jpg"
    region = '<mwg-rs:Area stArea:x="0.25" stArea:y="0.4"/>'
    text = f"<rdf:RDF {NAMESPACES}><rdf:Description>{region}<dc:title>A & B</dc:title>"
    (tmp_path / "a.jpg.xmp").write_text(text)
    (tmp_path / "a.xmp").write_text(f"<!DOCTYPE a>{text}")
    sidecar.copy_sidecar(source, output, SIX)
    assert 'stArea:x="0.6"' in (tmp_path / "b.jpg.xmp").read_text()
    assert not (tmp_path / "b.xmp").exists()


def _region() -> Element:
    regions = '<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:Area stArea:x="0.25" stArea:y="0.4"/></mwg-rs:Regions>'
    return packet(regions).root[0][0]


def test_the_sidecar_of_an_upright_photo_is_copied_byte_for_byte(tmp_path: Path) -> None:
    source, output = tmp_path / "a.jpg", tmp_path / "b.jpg"
    text = f"<rdf:RDF {NAMESPACES}>\n <rdf:Description tiff:Orientation='6'/></rdf:RDF>"
    (tmp_path / "a.jpg.xmp").write_text(text)
    sidecar.copy_sidecar(source, output, Turn(1, (8, 9), (8, 9)))
    assert (tmp_path / "b.jpg.xmp").read_text() == text


@pytest.mark.parametrize(
    "area",
    (
        '<mwg-rs:Area stArea:x="0.25" stArea:y="0.4" stArea:w="0.1" stArea:h="0.2"/>',
        (
            '<mwg-rs:Area rdf:parseType="Resource"><stArea:x>0.25</stArea:x><stArea:y>0.4</stArea:y>'
            "<stArea:w>0.1</stArea:w><stArea:h>0.2</stArea:h></mwg-rs:Area>"
        ),
        (
            '<mwg-rs:Area><rdf:Description stArea:x="0.25" stArea:y="0.4" stArea:w="0.1" '
            'stArea:h="0.2"/></mwg-rs:Area>'
        ),
    ),
)
def test_a_region_is_turned_however_it_is_written(area: str) -> None:
    made = turned(area)
    for field, value in {"x": 0.6, "y": 0.25, "w": 0.2, "h": 0.1}.items():
        assert f'stArea:{field}="{value}"' in made or f"<stArea:{field}>{value}<" in made


def test_a_region_in_pixels_and_a_broken_one() -> None:
    made = turned(
        '<mwg-rs:Area stArea:x="80" stArea:y="192" stArea:w="32" stArea:h="96" stArea:unit="pixel"/>'
    )
    assert 'stArea:x="288" stArea:y="80" stArea:w="96" stArea:h="32"' in made
    broken = '<mwg-rs:Area stArea:x="left" stArea:y="0.4"/>'
    assert 'stArea:x="left" stArea:y="0.4"' in turned(broken)


def test_circles_and_polygons_of_iptc_turn() -> None:
    circle = turned('<Iptc4xmpExt:RegionBoundary Iptc4xmpExt:rbUnit="relative" Iptc4xmpExt:rbX="0.25"'
                    ' Iptc4xmpExt:rbY="0.4" Iptc4xmpExt:rbRx="0.3"/>')  # fmt: skip
    assert 'rbX="0.6" Iptc4xmpExt:rbY="0.25" Iptc4xmpExt:rbRx="0.2"' in circle
    corners = "".join(f'<rdf:li Iptc4xmpExt:rbX="{x}" Iptc4xmpExt:rbY="0.4"/>' for x in (0.25, 0.5))
    polygon = turned('<Iptc4xmpExt:RegionBoundary Iptc4xmpExt:rbUnit="relative"><Iptc4xmpExt:rbVertices>'
                     f"<rdf:Seq>{corners}</rdf:Seq></Iptc4xmpExt:rbVertices></Iptc4xmpExt:RegionBoundary>")  # fmt: skip
    assert 'rbX="0.6" Iptc4xmpExt:rbY="0.25"' in polygon
    assert 'rbX="0.6" Iptc4xmpExt:rbY="0.5"' in polygon


def test_regions_in_parts_stay_and_pixels_grow_when_a_photo_is_enlarged() -> None:
    twice = Turn(1, (480, 320), (960, 640))
    made = turned('<mwg-rs:Area stArea:x="0.25" stArea:y="0.4"/><GPano:FullPanoWidthPixels>480'
                  "</GPano:FullPanoWidthPixels><exif:SubjectLocation><rdf:Seq><rdf:li>120</rdf:li>"
                  "<rdf:li>80</rdf:li></rdf:Seq></exif:SubjectLocation>", twice)  # fmt: skip
    assert 'stArea:x="0.25" stArea:y="0.4"' in made
    assert 'FullPanoWidthPixels="960"' in made
    assert "<rdf:li>240</rdf:li><rdf:li>160</rdf:li>" in made


@pytest.mark.parametrize("form", ("tEXt", "zTXt", "iTXt"))
def test_the_texts_of_a_png_turn_with_its_pixels(
    form: str, tmp_path: Path, origin: Provenance, limits: Limits
) -> None:
    told = PngImagePlugin.PngInfo()
    texts = {"exif:Orientation": "6", "exif:PixelXDimension": "30", "exif:ImageLength": "60",
             "exif:XResolution": "300/1", "exif:YResolution": "150/1", "Title": "Oma"}  # fmt: skip
    for key, value in texts.items():
        if form == "iTXt":
            told.add_itxt(key, value, zip=True)
        else:
            told.add_text(key, value, zip=form == "zTXt")
    pixels = np.random.default_rng(1).integers(0, 256, (60, 30, 3), np.uint8)
    Pillow.fromarray(pixels).save(tmp_path / "photo.png", pnginfo=told, dpi=(300, 150))
    output = tmp_path / "output.png"
    copier.write(photos.read(tmp_path / "photo.png", limits), output, origin, limits)
    with Pillow.open(output) as file:
        assert isinstance(file, PngImagePlugin.PngImageFile)
        assert file.size == (60, 30)
        assert {key: str(file.text[key]) for key in texts} == {
            "exif:Orientation": "1", "exif:PixelXDimension": "60", "exif:ImageLength": "30",
            "exif:XResolution": "150/1", "exif:YResolution": "300/1", "Title": "Oma",
        }  # fmt: skip
        assert [round(value) for value in file.info["dpi"]] == [150, 300]


def test_photoshops_resolutions_turn_and_its_thumbnail_goes() -> None:
    def resource(number: int, data: bytes) -> bytes:
        return b"8BIM" + struct.pack(">HHI", number, 0, len(data)) + data

    block = resource(1005, b"ACROSS--DOWN----") + resource(1036, b"old") + b"\0"
    block += resource(1028, b"IPTC")
    made = photoshop.turned(block, SIX)
    assert made == block.replace(b"ACROSS--DOWN----", b"DOWN----ACROSS--")
    assert photoshop.without_thumbnail(block) == resource(1005, b"ACROSS--DOWN----") + resource(
        1028, b"IPTC"
    )


def test_a_copy_that_would_be_turned_again_is_not_published(
    tmp_path: Path, make: Make, block: Callable[..., bytes], origin: Provenance, limits: Limits,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from storage.formats.containers import tiff

    photo = photos.read(make(tmp_path / "photo.jpg", exif=block(6)), limits)
    monkeypatch.setattr(tiff, "set_upright", lambda *_: None)
    with pytest.raises(UnreadablePhoto, match="orientation"):
        copier.write(photo, tmp_path / "output.jpg", origin, limits)


def test_a_refreshed_copy_has_the_regions_of_its_turned_photo(
    case: Callable[[str], Path], tmp_path: Path, origin: Provenance, limits: Limits
) -> None:
    source = case("b06-orientation-6-faces")
    output, fresh = mend(source, origin, limits), tmp_path / "fresh.jpg"
    copier.refreshed(source, output, fresh, origin, limits)
    told = read(fresh)[0]
    assert same(told["XMP-mwg-rs:RegionAreaX"], 0.6)
    assert told["ExifIFD:SubjectArea"] == "400 120 60 50"
    assert provenance.of(xmp.parse(photos.read(fresh, limits).metadata.xmp)) == replace(
        origin, orientation=6, image_hash=photos.ours(output).image_hash  # type: ignore[union-attr]
    )  # fmt: skip


EQUIRECTANGULAR = 'GPano:ProjectionType="equirectangular"'
WIDTHS = 'GPano:FullPanoWidthPixels="800" GPano:CroppedAreaImageWidthPixels='


@pytest.mark.parametrize(
    ("told", "full"),
    (
        (EQUIRECTANGULAR, True), (f'{EQUIRECTANGULAR} {WIDTHS}"800"', True),
        (f'{EQUIRECTANGULAR} {WIDTHS}"500"', False), (f'{WIDTHS}"800"', False),
        ('GPano:ProjectionType="cylindrical"', False), ("", False),
    ),
)  # fmt: skip
def test_only_a_panorama_of_360_degrees_wraps(told: str, full: bool) -> None:
    text = f"<rdf:RDF {NAMESPACES}><rdf:Description {told}/></rdf:RDF>"
    assert Metadata(xmp=text.encode()).is_full_panorama == full
