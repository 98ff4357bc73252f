"""What a copy cannot carry, in files made here and in files that went wrong elsewhere."""

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from storage import eligibility, inspection
from storage.formats import lossless
from storage.formats.containers import jpeg, png, tiff, webp
from storage.formats.content_hash import of_file
from storage.formats.safe_open import Limits

Make = Callable[..., Path]
Reason = Callable[[Path], str]
CASES = Path(__file__).parents[2] / "../shared/cases/files"
RDF = (
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description {}>{}'
    "</rdf:Description></rdf:RDF>"
)
PARTS = '<C:Directory xmlns:C="http://ns.google.com/photos/1.0/container/"><rdf:Seq>{}</rdf:Seq></C:Directory>'
PART = (
    '<rdf:li rdf:parseType="Resource"><C:Item xmlns:I="http://ns.google.com/photos/1.0/container'
    '/item/" I:Mime="image/jpeg" I:Semantic="{}"/></rdf:li>'
)


@pytest.fixture
def reason(limits: Limits) -> Reason:
    def found(path: Path) -> str:
        with inspection.opened(path, limits) as seen:
            return eligibility.left_alone(seen) or "mended"

    return found


def with_segments(path: Path, *parts: tuple[int, bytes]) -> Path:
    file = io.BytesIO(path.read_bytes())
    path.write_bytes(jpeg.splice(file, [*jpeg.metadata(file), *parts]))
    return path


def with_bytes_behind(path: Path, data: bytes) -> Path:
    path.write_bytes(path.read_bytes() + data)
    return path


@pytest.mark.parametrize(
    ("name", "what"),
    (
        ("a17-mpo-stereo.jpg", "second view"), ("a18-flir.jpg", "thermal data"),
        ("d10-rgb8-extra0-infrared.tif", "channel of no stated meaning"),
        ("f25-cicp-709-709.avif", "colours cannot be written back"),
        ("k01-keyword-depth.jpg", "mended"), ("m09-depth-only-in-extended.jpg", "depth map"),
        ("p01-rgb-adobe0.jpg", "mended"), ("p02-same-scan-no-adobe.jpg", "mended"),
        ("b25b-extended-xmp-faces.jpg", "mended"), ("b20-exif-multi-segment.jpg", "mended"),
        ("h01-grid.heic", "mended"), ("f23-irot.avif", "mended"),
    ),
)  # fmt: skip
def test_files_that_went_wrong_elsewhere(name: str, what: str, reason: Reason) -> None:
    if not (CASES / name).exists():
        pytest.skip("the files that go wrong elsewhere are not on this machine")
    assert what in reason(CASES / name)


@pytest.mark.parametrize(
    ("marker", "body", "what"),
    (
        (0xE1, b"FLIR\0\1\0\0FFF\0", "thermal data"), (0xE3, bytes(range(9)) * 999, "APP3"),
        (0xE3, b"_JPSJPS_\0\x10", "second view"), (0xE5, b"vendor", "APP5 vendor"),
        (0xE2, b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0", "gain map"),
        (0xEB, b"JP\0\1\0\0\0\1\0\0\1\0jumbjumd other", "APP11"),
        (0xEB, b"JP\0\1\0\0\0\1\0\0\1\0jumbjumdc2pa", "mended"),
        (0xE7, b"\x1aQualcomm Dual Camera Attributes", "depth map"),
        (0xEC, b"Ducky\0\1\0\4\0\0\0\x50", "mended"), (0xEC, b"Ducky" + bytes(9000), "APP12"),
        (0xE0, b"JFXX\0\x10\xff\xd8", "mended"), (0xE3, b"", "mended"), (0xFE, b"Oma", "mended"),
        (0xE2, b"FPXR\0\0\1", "mended"), (0xED, b"Photoshop 3.0\0", "mended"),
    ),
)  # fmt: skip
def test_only_known_segments_are_dropped(
    marker: int, body: bytes, what: str, tmp_path: Path, make: Make, reason: Reason
) -> None:
    assert what in reason(with_segments(make(tmp_path / "photo.jpg"), (marker, body)))


def test_the_segments_of_djis_thermal_cameras_have_no_name(
    tmp_path: Path, make: Make, block: Callable[..., bytes], reason: Reason
) -> None:
    of_dji = block().replace(b"Canon\0", b"DJI\0\0\0")
    path = make(tmp_path / "photo.jpg", exif=of_dji)
    assert reason(path) == "mended"
    assert "thermal data" in reason(with_segments(path, (0xE3, bytes(range(9)) * 999)))


def samsung(**blocks: bytes) -> bytes:
    """Blocks as Samsung's phones append them."""
    made, places = b"", []
    for name, data in blocks.items():
        places.append(len(made))
        made += struct.pack("<HHI", 0, 0x0A01, len(name)) + name.encode() + data
    head = b"SEFH" + struct.pack("<II", 107, len(places))
    for place, (name, data) in zip(places, blocks.items(), strict=True):
        size = 8 + len(name) + len(data)
        head += struct.pack("<HHII", 0, 0x0A01, len(made) - place, size)
    return made + head + struct.pack("<I", len(head)) + b"SEFT"


@pytest.mark.parametrize(
    ("data", "what"),
    (
        (samsung(Image_UTC_Data=b"1580000000000"), "mended"),
        (samsung(Image_UTC_Data=b"1", MCC_Data=b"262") + bytes(9), "mended"),
        (samsung(Image_UTC_Data=b"1", DualShot_DepthMap_1=b"x" * 99), "depth map"),
        (samsung(SoundShot_Sound=b"x" * 99), "sound"),
        (samsung(PhotoEditor_Re_Edit_Data=b"{}"), "Samsung's PhotoEditor_Re_Edit_"),
        (samsung(Image_UTC_Data=b"1" * 5000), "Samsung's Image_UTC_Data"),
        (b"\0" * 999 + b"\r\n", "mended"), (b"Rar!" + bytes(range(99)), "behind its end"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(100), "film"),
        (b"SEFH\xff\xff\xff\xff\xff\xff\xff\xff\x0c\0\0\0SEFT", "behind its end"),
    ),
)  # fmt: skip
def test_what_is_behind_a_jpeg(
    data: bytes, what: str, tmp_path: Path, make: Make, reason: Reason
) -> None:
    assert what in reason(with_bytes_behind(make(tmp_path / "photo.jpg"), data))


def test_a_further_jpeg_behind_is_a_preview_only_if_it_is_smaller(
    tmp_path: Path, make: Make, scene: NDArray[np.uint8], reason: Reason
) -> None:
    small = make(tmp_path / "small.jpg", scene[::2, ::2]).read_bytes()
    equal = make(tmp_path / "equal.jpg").read_bytes()
    grey = make(tmp_path / "grey.jpg", scene[::2, ::2, 0]).read_bytes()
    behind = (b"\0" * 9 + small, "mended"), (equal, "second view"), (grey, "second view")
    for data, what in behind:
        assert what in reason(with_bytes_behind(make(tmp_path / "photo.jpg"), data))


@pytest.mark.parametrize(
    ("attributes", "inner", "what"),
    (
        ('xmlns:G="http://ns.google.com/photos/1.0/image/" G:Mime="image/jpeg"', "", "second view"),
        ('xmlns:G="http://ns.google.com/photos/1.0/audio/" G:Mime="audio/mp4"', "", "sound"),
        ('xmlns:G="http://ns.google.com/photos/1.0/camera/" G:SpecialTypeID="x"', "", "mended"),
        ("", PARTS.format(PART.format("Primary")), "mended"),
        ("", PARTS.format(PART.format("Primary") + PART.format("Depth")), "depth map"),
        ("", PARTS.format(PART.format("GainMap")), "gain map"),
        ("", PARTS.format(PART.format("MotionPhoto")), "film"),
        ("", PARTS.format(PART.format("ConfidenceMap")), "ConfidenceMap"),
        *(
            ('xmlns:dc="http://purl.org/dc/elements/1.1/"', f"<dc:subject>{word}</dc:subject>", end)
            for word, end in (
                ("Depth", "mended"), ("GainMap", "mended"), ("MotionPhoto", "mended"),
                ("http://ns.google.com/photos/1.0/depthmap/", "mended"),
                ("http://ns.adobe.com/hdr-gain-map/1.0/", "mended"),
            )
        ),
    ),
)  # fmt: skip
def test_xmp_is_judged_by_its_structures_not_by_its_words(
    attributes: str, inner: str, what: str, tmp_path: Path, make: Make, reason: Reason
) -> None:
    packet = RDF.format(attributes, inner).encode()
    assert what in reason(make(tmp_path / "photo.jpg", xmp=packet))


@pytest.mark.parametrize("suffix", (".mov", ".MOV", ".mp4", ".MP4"))
def test_a_photo_with_a_film_of_its_name_is_left_alone(
    suffix: str, tmp_path: Path, make: Make, reason: Reason
) -> None:
    path = make(tmp_path / "IMG_1.jpg")
    assert reason(path) == "mended"
    path.with_suffix(suffix).touch()
    assert "film" in reason(path)
    googles = make(tmp_path / "PXL_1.MP.jpg")
    assert reason(googles) == "mended"
    (tmp_path / "PXL_1.MP").touch()
    assert "film" in reason(googles)


@pytest.mark.parametrize(
    ("kind", "what"),
    ((b"tIME", "mended"), (b"caBX", "mended"), (b"prVW", "prVW"), (b"mkBF", "layers"),
     (b"sTER", "second view"), (b"gMAP", "gain map"), (b"pHYs", "mended")),
)  # fmt: skip
def test_only_known_chunks_of_a_png_are_dropped(
    kind: bytes, what: str, tmp_path: Path, make: Make, reason: Reason
) -> None:
    path = make(tmp_path / "photo.png")
    path.write_bytes(png.splice(io.BytesIO(path.read_bytes()), [(kind, bytes(9))]))
    assert what in reason(path)
    assert "behind its end" in reason(with_bytes_behind(make(tmp_path / "a.png"), b"\0film"))


def test_only_known_chunks_of_a_webp_are_dropped(
    tmp_path: Path, make: Make, packet: bytes, limits: Limits, reason: Reason
) -> None:
    path = make(tmp_path / "photo.webp", xmp=packet)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"XMP ", b"XMP\0"))
    assert reason(path) == "mended"
    with inspection.opened(path, limits) as seen:
        assert seen.metadata.xmp == packet
    path.write_bytes(whole.replace(b"XMP ", b"DEPT"))
    assert "the chunk DEPT" in reason(path)
    assert list(webp.chunks(io.BytesIO(whole)))[-1].kind == b"XMP "


@pytest.mark.parametrize(
    ("tags", "page", "what"),
    (
        ({}, {}, "mended"), ({37724: b"Adobe Photoshop Document Data Block"}, {}, "layers"),
        ({}, {254: 1}, "mended"), ({}, {254: 4}, "mask"), ({}, {254: 5}, "mask"),
        ({}, {254: 0}, "several pages"), ({330: 254}, {}, "further image"),
    ),
)  # fmt: skip
def test_pages_and_layers_of_a_tiff(
    tags: dict[int, bytes | int], page: dict[int, int], what: str, tmp_path: Path,
    scene: NDArray[np.uint8], reason: Reason,
) -> None:  # fmt: skip
    path = tmp_path / "photo.tif"
    path.write_bytes(tiff_of(scene, tags, page))
    assert what in reason(path)


def test_a_tiff_whose_first_page_is_a_preview_has_several_pages(
    tmp_path: Path, scene: NDArray[np.uint8], reason: Reason
) -> None:
    path = tmp_path / "photo.tif"
    path.write_bytes(tiff_of(scene, {254: 1}, {254: 0}))
    assert "several pages" in reason(path)


def tiff_of(scene: NDArray[np.uint8], tags: dict[int, bytes | int], page: dict[int, int]) -> bytes:
    """A TIFF with further tags, and a second directory if `page` has tags."""
    coded = bytearray(lossless.encode_tiff(scene))
    file = tiff.Tiff(io.BytesIO(bytes(coded)))
    first = file.directory(file.first)
    entries = sorted([*first.entries.values()], key=lambda entry: entry.tag)
    table = [bytes(coded[entry.position : entry.position + 12]) for entry in entries]
    for tag, value in tags.items():
        if isinstance(value, int):
            table.append(struct.pack("<HHII", tag, 4, 1, file.first))
        else:
            table.append(struct.pack("<HHII", tag, 7, len(value), len(coded)))
            coded += value
    start = len(coded)
    table.sort(key=lambda entry: entry[:2][::-1])
    second = start + 6 + 12 * len(table) if page else 0
    coded += struct.pack("<H", len(table)) + b"".join(table) + struct.pack("<I", second)
    if page:
        coded += struct.pack("<H", len(page))
        coded += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in page.items())
        coded += bytes(4)
    coded[4:8] = struct.pack("<I", start)
    return bytes(coded)


def test_a_maker_note_in_a_tiff_is_kept_only_if_it_may_be_moved(
    tmp_path: Path, make: Make, block: Callable[..., bytes], reason: Reason
) -> None:
    assert "maker note" in reason(make(tmp_path / "photo.tif", exif=block()))
    movable = block().replace(b"Canon\0maker", b"Nikon\0\2make")
    assert reason(make(tmp_path / "photo.tif", exif=movable)) == "mended"
    assert reason(make(tmp_path / "photo.jpg", exif=block())) == "mended"


def test_unknown_boxes_of_a_heic_are_left_alone(tmp_path: Path, make: Make, reason: Reason) -> None:
    def box(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", 8 + len(data)) + kind + data

    manifest = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
    for data, what in (
        (box(b"free", b"x"), "mended"), (box(b"uuid", manifest), "mended"),
        (box(b"uuid", bytes(16)), "the box uuid"), (box(b"mpvd", b""), "film"),
        (box(b"sefd", samsung(Image_UTC_Data=b"1")), "mended"),
        (box(b"sefd", samsung(DualShot_DepthMap_1=b"1")), "depth map"),
        (box(b"sefd", b"other"), "the box sefd"),
    ):  # fmt: skip
        assert what in reason(with_bytes_behind(make(tmp_path / "photo.heic"), data))


def test_adobes_segment_belongs_to_the_content(tmp_path: Path) -> None:
    hashes = set()
    for name in ("p01-rgb-adobe0.jpg", "p02-same-scan-no-adobe.jpg"):
        if not (CASES / name).exists():
            pytest.skip("the files that go wrong elsewhere are not on this machine")
        with (CASES / name).open("rb") as file:
            hashes.add(of_file(file))
    assert len(hashes) == 2
