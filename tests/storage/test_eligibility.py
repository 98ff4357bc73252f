import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow

from storage import eligibility, inspection, photos
from storage.enums import Allowed
from storage.formats.containers import jpeg
from storage.formats.detect import RAW
from storage.formats.safe_open import Limits

Make = Callable[..., Path]
RDF = (
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description %s>%s'
    b"</rdf:Description></rdf:RDF>"
)


def left_alone(path: Path, limits: Limits) -> str | None:
    with inspection.opened(path, limits) as seen:
        return eligibility.left_alone(seen)


@pytest.fixture
def reason(limits: Limits) -> Callable[[Path], str]:
    return lambda path: left_alone(path, limits) or "mended"


@pytest.mark.parametrize("suffix", (".jpg", ".png", ".tif", ".webp", ".heic", ".avif"))
def test_a_plain_photo_is_mended(
    suffix: str, tmp_path: Path, make: Make, reason: Callable[[Path], str],
    block: Callable[..., bytes], packet: bytes,
) -> None:  # fmt: skip
    assert reason(make(tmp_path / f"photo{suffix}")) == "mended"
    note = block(6).replace(b"Canon\0maker", b"OM SYSTEM\0m")  # one that a TIFF can carry
    assert reason(make(tmp_path / f"IMG_0815{suffix}", exif=note)) == "mended"
    assert reason(make(tmp_path / f"DSC_01{suffix}", xmp=packet)) == "mended"


@pytest.mark.parametrize(
    "name", ("desk_plants", "martin_adams", "photo-1451187580459-43490279c0fa")
)
def test_real_photos_from_elsewhere_are_mended(
    name: str, clear: Path, reason: Callable[[Path], str]
) -> None:
    found = reason(clear / f"photos_full/elementary_wallpapers/{name}.jpg")
    assert found in ("mended",) or found.startswith("an edit or export of")


@pytest.mark.parametrize("name", ("photo.jpg.xmp", "photo.XMP"))
@pytest.mark.parametrize(
    "damaged",
    (
        b"no XMP at all",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + RDF % (b"", b""),
        (RDF % (b"", b""))[:-9].ljust((1 << 20) + 1, b"a"),
        b" " * (16 << 20) + RDF % (b"", b""),
    ),
)
def test_a_photo_whose_sidecar_cannot_be_turned_is_left_alone(
    damaged: bytes, name: str, tmp_path: Path, make: Make, reason: Callable[[Path], str]
) -> None:
    photo = make(tmp_path / "photo.jpg")
    (tmp_path / name).write_bytes(damaged)
    assert reason(photo).startswith(f"its sidecar {name} cannot be read: the XMP packet ")


def test_a_photo_whose_sidecar_is_only_damaged_is_mended(
    tmp_path: Path, make: Make, reason: Callable[[Path], str]
) -> None:
    photo = make(tmp_path / "photo.jpg")
    (tmp_path / "photo.xmp").write_bytes((RDF % (b"", b"<a:b>c</a:b>"))[:-30])
    (tmp_path / "photo.jpg.xmp").touch()
    assert reason(photo) == "mended"


@pytest.mark.parametrize(
    ("edit", "inner"),
    (
        (b'crs:HasCrop="True" crs:CropTop="0.1"', b""),
        (b"", b"<crs:RetouchAreas><rdf:Seq/></crs:RetouchAreas>"),
    ),
)
def test_edits_of_places_that_cannot_be_turned_are_a_reason_only_where_a_photo_turns(
    edit: bytes, inner: bytes, tmp_path: Path, make: Make, block: Callable[..., bytes],
    reason: Callable[[Path], str],
) -> None:  # fmt: skip
    space = b'xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/" '
    told, whole = RDF % (space + edit, inner), "a crop or masks of Camera Raw"
    applied = RDF % (space + edit + b' crs:AlreadyApplied="True"', inner)
    path = tmp_path / "photo.jpg"
    assert f"it carries {whole}" in reason(make(path, xmp=told, exif=block(6)))
    assert reason(make(path, xmp=applied, exif=block(6))) == "mended"
    assert reason(make(path, xmp=told, exif=block(1))) == "mended"
    (tmp_path / "photo.xmp").write_bytes(told)
    assert reason(path) == "mended"
    assert f"photo.xmp carries {whole}" in reason(make(path, exif=block(6)))


@pytest.mark.parametrize("suffix", sorted(RAW))
def test_raw_is_left_alone_without_being_opened(
    suffix: str, tmp_path: Path, reason: Callable[[Path], str]
) -> None:
    assert reason(tmp_path / f"photo{suffix.upper()}").startswith("a RAW file")


def test_animations_and_pages_are_left_alone(
    tmp_path: Path, clear: Path, reason: Callable[[Path], str]
) -> None:
    frames = [Pillow.new("RGB", (64, 64), (n * 40, 0, 0)) for n in range(3)]
    for name, what in (("a.png", "animated PNG"), ("a.webp", "animated WebP"), ("a.tif", "pages")):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        assert what in reason(tmp_path / name)
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert "GIF" in reason(tmp_path / "a.gif")
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.gif").read_bytes())
    assert "GIF" in reason(tmp_path / "b.jpg")
    assert "animation" in reason(clear / "robust/libavif/tests/data/colors-animated-8bpc.avif")


def test_a_tiff_with_a_preview_is_one_photo(
    tmp_path: Path, make: Make, reason: Callable[[Path], str]
) -> None:
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    page = ImageFileDirectory_v2()
    page[254] = 1
    first = Pillow.open(make(tmp_path / "scene.png"))
    small = first.resize((40, 30))
    small.encoderinfo = {"tiffinfo": page}
    first.save(tmp_path / "a.tif", save_all=True, append_images=[small])
    first.close()
    assert reason(tmp_path / "a.tif") == "mended"


def _with_mpf(path: Path, further: bytes) -> Path:
    """Append a further image to a JPEG and tell of it in an MPF segment."""
    file = io.BytesIO(path.read_bytes())
    parts = jpeg.metadata(file)

    def body(offset: int, length: int) -> bytes:
        entries = struct.pack(">IIIHH", 0x030000, length, 0, 0, 0)
        entries += struct.pack(">IIIHH", 0, len(further), offset, 0, 0)
        table = struct.pack(">HHHI4s", 3, 0xB000, 7, 4, b"0100")
        table += struct.pack(">HHII", 0xB001, 4, 1, 2) + struct.pack(">HHII", 0xB002, 7, 32, 50)
        return b"MPF\0MM\0*\0\0\0\x08" + table + bytes(4) + entries

    length = len(jpeg.splice(file, [*parts, (0xE2, body(0, 0))]))
    start = next(
        segment.body + 4
        for segment in jpeg.segments(io.BytesIO(jpeg.splice(file, [*parts, (0xE2, body(0, 0))])))
        if segment.marker == 0xE2
    )
    whole = jpeg.splice(file, [*parts, (0xE2, body(length - start, length))])
    path.write_bytes(whole + further)
    return path


def test_a_gain_map_is_left_alone_and_a_mere_preview_is_not(
    tmp_path: Path, make: Make, scene: NDArray[np.uint8], reason: Callable[[Path], str],
    limits: Limits,
) -> None:  # fmt: skip
    preview = make(tmp_path / "preview.jpg", scene[::2, ::2]).read_bytes()
    assert reason(_with_mpf(make(tmp_path / "a.jpg"), preview)) == "mended"
    assert photos.read(tmp_path / "a.jpg", limits).image.shape == (120, 160, 3)
    gain = RDF % (b'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"', b"")
    mapped = make(tmp_path / "map.jpg", xmp=gain).read_bytes()
    assert "gain map" in reason(_with_mpf(make(tmp_path / "b.jpg"), mapped))
    assert "gain map" in reason(make(tmp_path / "c.jpg", xmp=gain))
    file = io.BytesIO(preview)
    iso = [*jpeg.metadata(file), (0xE2, b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0")]
    (tmp_path / "d.jpg").write_bytes(jpeg.splice(file, iso))
    assert "gain map" in reason(tmp_path / "d.jpg")


def test_the_depth_map_in_an_mpf_is_left_alone(
    tmp_path: Path, make: Make, reason: Callable[[Path], str]
) -> None:
    depth = RDF % (b'xmlns:d="http://ns.apple.com/depthData/1.0/" d:Accuracy="relative"', b"")
    further = make(tmp_path / "depth.jpg", xmp=depth).read_bytes()
    assert "depth map" in reason(_with_mpf(make(tmp_path / "a.jpg"), further))


def test_gain_maps_of_avif_are_left_alone(clear: Path, reason: Callable[[Path], str]) -> None:
    folder = clear / "robust/libavif/tests/data"
    for name in ("color_grid_gainmap_different_grid", "colors_hdr_srgb"):
        assert "gain map" in reason(folder / f"{name}.avif")


def _with_auxiliary(path: Path, name: bytes) -> Path:
    """Rename the alpha of a HEIC into another auxiliary image; the names are equally long."""
    data = path.read_bytes()
    old = b"urn:mpeg:hevc:2015:auxid:1\0"
    assert old in data
    path.write_bytes(data.replace(old, name.ljust(len(old), b"\0")))
    return path


@pytest.mark.parametrize(
    ("name", "what"),
    (
        (b"urn:mpeg:hevc:2015:auxid:2", "depth"),
        (b"urn:com:apple:depth", "depth"),
        (b"urn:x:aux:hdrgainmap", "gain map"),
        (b"urn:x:skin:matte", "further image"),
    ),
)
def test_auxiliary_images_of_a_heic_are_not_lost(
    name: bytes, what: str, tmp_path: Path, make: Make, reason: Callable[[Path], str]
) -> None:
    pixels = np.full((64, 64, 4), 128, np.uint8)
    assert reason(make(tmp_path / "alpha.heic", pixels)) == "mended"
    assert what in reason(_with_auxiliary(make(tmp_path / "a.heic", pixels), name))


def test_a_depth_map_in_xmp_is_left_alone(
    tmp_path: Path, make: Make, reason: Callable[[Path], str]
) -> None:
    depth = b'xmlns:GDepth="http://ns.google.com/photos/1.0/depthmap/" GDepth:Format="RangeLinear"'
    assert "depth" in reason(make(tmp_path / "a.jpg", xmp=RDF % (depth, b"")))


def test_a_packet_that_cannot_be_read_may_hide_a_map(
    tmp_path: Path, make: Make, reason: Callable[[Path], str]
) -> None:
    for broken in (b"<r", b"no xml", b'<!DOCTYPE r [<!ENTITY a "a">]><r>&a;</r>'):
        assert "would be lost" in reason(make(tmp_path / "a.jpg", xmp=broken))
    for nothing in (b" \0", b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'):
        assert reason(make(tmp_path / "a.jpg", xmp=nothing)) == "mended"
    damaged = (RDF % (b'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="3"', b""))[:-3]
    assert reason(make(tmp_path / "a.jpg", xmp=damaged)) == "mended"


def test_live_and_motion_photos_are_left_alone(
    tmp_path: Path, make: Make, reason: Callable[[Path], str]
) -> None:
    camera = b'xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" GCamera:'
    assert "film" in reason(make(tmp_path / "a.jpg", xmp=RDF % (camera + b'MotionPhoto="1"', b"")))
    assert "film" in reason(make(tmp_path / "b.jpg", xmp=RDF % (camera + b'MicroVideo="1"', b"")))
    assert (
        reason(make(tmp_path / "c.jpg", xmp=RDF % (camera + b'MotionPhoto="0"', b""))) == "mended"
    )
    live = make(tmp_path / "IMG_1.heic")
    assert reason(live) == "mended"
    live.with_suffix(".MOV").touch()
    assert "film" in reason(live)
    behind = make(tmp_path / "d.jpg")
    behind.write_bytes(behind.read_bytes() + b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(100))
    assert "film" in reason(behind)
    padded = make(tmp_path / "e.jpg")
    padded.write_bytes(padded.read_bytes() + bytes(1000))
    assert reason(padded) == "mended"


@pytest.mark.parametrize(
    "name",
    ("Screenshot_20240101-120000.png", "Bildschirmfoto 2024.png", "Screenshots/a.jpg",
     "Screen Shot 2020-01-01 at 10.png", "Capture d_écran 2024.png"),
)  # fmt: skip
def test_screenshots_are_known_by_their_names(
    name: str, tmp_path: Path, make: Make, reason: Callable[[Path], str]
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    assert "screenshot" in reason(make(path))


def test_screenshots_are_known_by_their_size_only_without_a_camera(
    tmp_path: Path, make: Make, reason: Callable[[Path], str], block: Callable[..., bytes]
) -> None:
    screen = np.zeros((2532, 1170, 3), np.uint8)
    assert "screenshot" in reason(make(tmp_path / "a.png", screen))
    assert "screenshot" in reason(make(tmp_path / "a.jpg", screen))
    assert reason(make(tmp_path / "b.jpg", screen, exif=block())) == "mended"
    assert reason(make(tmp_path / "c.jpg", np.zeros((1080, 1920, 3), np.uint8))) == "mended"


def test_a_screenshot_is_known_by_ios_comment(
    tmp_path: Path, make: Make, reason: Callable[[Path], str]
) -> None:
    told = Pillow.Exif()
    told.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0Screenshot"
    assert "screenshot" in reason(make(tmp_path / "a.jpg", exif=told.tobytes()[6:]))


@pytest.mark.parametrize(
    ("name", "what"),
    (
        ("IMG-20240101-WA0001.jpg", "WhatsApp"), ("WhatsApp Images/a.jpg", "WhatsApp"),
        ("IMG_1234-edited.jpg", "edit"), ("IMG_1234~edit.jpg", "edit"),
        ("IMG_E1234.jpg", "edit"), ("PXL_1-edited(1).jpg", "edit"), ("a-bearbeitet.jpg", "edit"),
        ("20240101_120000_01.jpg", "edit"), ("IMG_20240101_120000.jpg", "mended"),
        ("20240101_120000.jpg", "mended"), ("credited.jpg", "mended"), ("Expedition.jpg", "mended"),
    ),
)  # fmt: skip
def test_chat_pictures_and_others_edits_are_known_by_their_names(
    name: str, what: str, tmp_path: Path, make: Make, reason: Callable[[Path], str]
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    assert what in reason(make(path))


@pytest.mark.parametrize(
    ("program", "left"),
    (
        ("Adobe Photoshop Lightroom Classic 13.0 (Windows)", True), ("GIMP 2.10.32", True),
        ("Snapseed 2.0", True), ("17.4.1", False), ("HDR+ 1.0.585804401zd", False),
        ("digiKam-8.2.0", False), ("Ver.1.00", False), ("G998BXXU5CVGB", False),
    ),
)  # fmt: skip
def test_only_programs_that_edit_pixels_count_as_editors(
    program: str, left: bool, tmp_path: Path, make: Make, reason: Callable[[Path], str]
) -> None:
    told = Pillow.Exif()
    told[0x0131] = program
    assert ("an edit" in reason(make(tmp_path / "a.jpg", exif=told.tobytes()[6:]))) == left
    tool = b'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:CreatorTool="%s"' % program.encode()
    assert ("an edit" in reason(make(tmp_path / "b.jpg", xmp=RDF % (tool, b"")))) == left


def test_unusual_pixels_are_left_alone_with_the_reason(
    tmp_path: Path, clear: Path, reason: Callable[[Path], str]
) -> None:
    made = {
        "a.png": (Pillow.new("P", (64, 64)), "palette"),
        "b.png": (Pillow.new("1", (64, 64)), "few colours"),
        "c.jpg": (Pillow.new("CMYK", (64, 64)), "CMYK"),
        "d.tif": (Pillow.new("CMYK", (64, 64)), "neither plain grey nor RGB"),
        "e.tif": (Pillow.new("F", (64, 64)), "neither 8 nor 16 bits"),
        "f.png": (Pillow.new("RGB", (64, 15)), "too small"),
        "g.png": (Pillow.new("RGB", (64, 16)), "mended"),
    }
    for name, (image, what) in made.items():
        image.save(tmp_path / name)
        assert what in reason(tmp_path / name)
    folder = clear / "robust/libavif"
    assert "HDR" in reason(folder / "tests/data/colors_wcg_hdr_rec2020.avif")
    assert "10 bits" in reason(folder / "tests/data/clop_irot_imor.avif")


def test_a_file_that_is_too_large_or_broken_has_no_reason(
    tmp_path: Path, make: Make, limits: Limits
) -> None:
    from dataclasses import replace

    from storage.errors import UnreadablePhoto

    path = make(tmp_path / "a.png")
    assert left_alone(path, replace(limits, max_bytes=10)) is None
    path.write_bytes(b"no photo")
    assert left_alone(path, limits) is None
    path.write_bytes(b"\xff\xd8\xff broken")
    with pytest.raises(UnreadablePhoto):
        left_alone(path, limits)


@pytest.mark.parametrize(
    ("name", "allow"),
    [
        ("Screenshots/a.jpg", Allowed.SCREENSHOTS),
        ("IMG-20240101-WA0001.jpg", Allowed.CHATS),
        ("cat-edited.jpg", Allowed.EDITS),
    ],
)
def test_a_guess_by_the_name_does_not_hold_where_such_photos_are_allowed(
    name: str, allow: Allowed, tmp_path: Path, make: Make, limits: Limits
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    with inspection.opened(make(tmp_path / name), limits) as seen:
        assert eligibility.left_alone(seen)
        assert eligibility.left_alone(seen, [other for other in Allowed if other is not allow])
        assert eligibility.left_alone(seen, [allow]) is None


def test_a_guess_by_the_content_does_not_hold_for_a_photo_that_was_asked_for(
    tmp_path: Path, make: Make, limits: Limits
) -> None:
    tools = 'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:CreatorTool="GIMP 2.10"'
    edit = make(tmp_path / "a.jpg", xmp=RDF % (tools.encode(), b""))
    small = tmp_path / "small.png"
    Pillow.new("RGB", (40, 10)).save(small)
    screen = tmp_path / "screen.png"
    Pillow.new("RGB", (1080, 2400)).save(screen)
    for path, allow in ((edit, Allowed.EDITS), (screen, Allowed.SCREENSHOTS)):
        with inspection.opened(path, limits) as seen:
            assert eligibility.left_alone(seen, ())
            assert eligibility.left_alone(seen, (allow,)) is None
    with inspection.opened(small, limits) as seen:
        assert "too small" in str(eligibility.left_alone(seen, tuple(Allowed)))
        assert eligibility.left_alone(seen, eligibility.ASKED_FOR) is None


def test_what_protects_the_photo_holds_whatever_is_asked_for(
    tmp_path: Path, make: Make, limits: Limits
) -> None:
    gain = RDF % (b'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"', b"")
    film = make(tmp_path / "b.jpg")
    film.with_suffix(".MOV").touch()
    raw = tmp_path / "c.nef"
    raw.touch()
    for path in (make(tmp_path / "Screenshot_a.jpg", xmp=gain), film, raw):
        with inspection.opened(path, limits) as seen:
            assert eligibility.left_alone(seen, eligibility.ASKED_FOR)
