"""What exiftool reads of a source, it reads of the copy, turned where it should be."""

import json
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow

from storage import eligibility, inspection, photos
from storage.errors import TooLarge, UnreadablePhoto
from storage.formats.safe_open import Limits
from storage.metadata.provenance import Provenance
from tests.storage import copier

Make = Callable[..., Path]
Told = dict[str, Any]
SUFFIXES = (".jpg", ".png", ".tif", ".webp", ".heic", ".avif")
PLACES = ("EXIF", "XMP", "both", "conflicting", "big-endian")
BY_CONTAINER = (".heic", ".avif")
"""Formats whose container turns the photo, not its EXIF."""
SIZE = (160, 120)
NOT_KEPT = {
    "SourceFile": "the name of the file", "ExifTool": "its own", "System": "the file",
    "File": "the coding", "Composite": "made from other tags", "QuickTime": "the container",
    "Meta": "the container", "RIFF": "the container", "PNG": "the coding",
    "XMP-x": "the program that wrote the packet", "XMP-xmpMM": "identifiers of the copy",
    "XMP-xmp:ModifyDate": "the day of mending", "XMP-xmp:MetadataDate": "the day of mending",
    **{f"IFD0:{tag}": "the coding of a TIFF" for tag in (
        "ImageWidth", "ImageHeight", "BitsPerSample", "Compression", "PhotometricInterpretation",
        "StripOffsets", "SamplesPerPixel", "RowsPerStrip", "StripByteCounts", "PlanarConfiguration",
    )},
}  # fmt: skip
"""What a copy does not keep, by exiftool's group or by group and name, with the reason."""
NOT_KEPT_OF_FOUND = NOT_KEPT | {
    "MPF": "previews", "MPImage": "previews", "SubIFD": "previews",
    "Adobe": "the coding", "APP14": "the coding", "JFXX": "the thumbnail", "JFIF": "resolution",
    **{f"{group}:{tag}": "the size is that of the copy" for tag in (
        "ExifImageWidth", "ExifImageHeight", "RelatedImageWidth", "RelatedImageHeight",
    ) for group in ("ExifIFD", "XMP-exif", "InteropIFD")},
    **{f"IFD0:{tag}": "the coding of a TIFF" for tag in (
        "FillOrder", "YCbCrSubSampling", "JPEGTables", "SubfileType", "PreviewImageStart",
        "PreviewImageLength", "PreviewImage", "ReferenceBlackWhite", "ExtraSamples", "Predictor",
        "MinSampleValue", "MaxSampleValue", "SMinSampleValue", "SMaxSampleValue", "SampleFormat",
        "TileWidth", "TileLength", "TileOffsets", "TileByteCounts",
    )},
}  # fmt: skip
"""What the copy of a file that was found does not keep besides."""
TAGS = (
    "-IFD0:Make=Canon", "-ExifIFD:DateTimeOriginal=2021:06:05 11:12:13", "-GPS:GPSLatitude=47.375",
    "-GPS:GPSLatitudeRef=N", "-IFD0:XResolution=300", "-IFD0:YResolution=150",
    "-ExifIFD:FocalPlaneXResolution=400", "-ExifIFD:FocalPlaneYResolution=200",
    "-XMP-xmp:Rating=4", "-XMP-dc:Subject=Oma", "-XMP-dc:Title=Depth", "-XMP-tiff:XResolution=300",
    "-XMP-tiff:YResolution=150", "-XMP-xmp:CreatorTool=Firmware 1.2",
    "-XMP-photoshop:City=Berlin", "-XMP-tiff:Make=Canon",
)  # fmt: skip
EXTRA = {
    ".jpg": ("-JFIF:XResolution=300", "-JFIF:YResolution=150", "-Photoshop:XResolution=300",
             "-Photoshop:YResolution=150", "-IPTC:City=Berlin", "-Comment=a comment"),
    ".png": ("-PNG-pHYs:PixelsPerUnitX=3000", "-PNG-pHYs:PixelsPerUnitY=1500"),
    ".tif": ("-IPTC:City=Berlin",),
}  # fmt: skip
_UNDO = dict(zip(range(2, 9), (
    Pillow.Transpose.FLIP_LEFT_RIGHT, Pillow.Transpose.ROTATE_180, Pillow.Transpose.FLIP_TOP_BOTTOM,
    Pillow.Transpose.TRANSPOSE, Pillow.Transpose.ROTATE_90, Pillow.Transpose.TRANSVERSE,
    Pillow.Transpose.ROTATE_270,
), strict=True))  # fmt: skip


def exiftool(*arguments: str | Path) -> str:
    if shutil.which("exiftool") is None:
        pytest.skip("exiftool is not on this machine (Debian's libimage-exiftool-perl)")
    ended = subprocess.run(
        ["exiftool", *map(str, arguments)], check=False, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def read(*paths: str | Path) -> list[Told]:
    return list(json.loads(exiftool("-json", "-q", "-n", "-G1", "-a", *paths)))


def mend(source: Path, origin: Provenance, limits: Limits) -> Path:
    output = source.with_name(f"copy-{source.name}")
    copier.write(photos.read(source, limits), output, origin, limits)
    return output


def places(orientation: int) -> tuple[Told, Told]:
    """Where a face is, as exiftool names it: in the stored image, and in the upright one."""
    wide, high = SIZE if orientation < 5 else SIZE[::-1]
    x, y = 0.25, 0.4
    upright = {
        1: (x, y), 2: (1 - x, y), 3: (1 - x, 1 - y), 4: (x, 1 - y),
        5: (y, x), 6: (1 - y, x), 7: (1 - y, 1 - x), 8: (y, 1 - x),
    }[orientation]  # fmt: skip
    sides = (0.1, 0.2) if orientation < 5 else (0.2, 0.1)
    return _tags((x, y), (0.1, 0.2), (wide, high)), _tags(upright, sides, SIZE)


def _tags(centre: tuple[float, float], sides: tuple[float, float], size: tuple[int, int]) -> Told:
    (x, y), (w, h), (wide, high) = centre, sides, size
    left, top = x - w / 2, y - h / 2
    subject = [round(value) for value in (x * wide, y * high, w * wide, h * high)]
    return {
        "XMP-mwg-rs:RegionAppliedToDimensionsW": wide,
        "XMP-mwg-rs:RegionAppliedToDimensionsH": high,
        "XMP-mwg-rs:RegionAreaX": x, "XMP-mwg-rs:RegionAreaY": y,
        "XMP-mwg-rs:RegionAreaW": w, "XMP-mwg-rs:RegionAreaH": h,
        "XMP-MP:RegionRectangle": f"{left:.8g}, {top:.8g}, {w}, {h}",
        "XMP-iptcExt:ImageRegionBoundaryX": left, "XMP-iptcExt:ImageRegionBoundaryY": top,
        "XMP-iptcExt:ImageRegionBoundaryW": w, "XMP-iptcExt:ImageRegionBoundaryH": h,
        "XMP-exif:SubjectArea": subject, "ExifIFD:SubjectArea": " ".join(map(str, subject)),
        "ExifIFD:SubjectLocation": " ".join(map(str, subject[:2])),
        "ExifIFD:ExifImageWidth": wide, "ExifIFD:ExifImageHeight": high,
        "XMP-exif:ExifImageWidth": wide, "XMP-exif:ExifImageHeight": high,
        "XMP-tiff:ImageWidth": wide, "XMP-tiff:ImageHeight": high,
    }  # fmt: skip


def written(path: Path, place: str, orientation: int, make: Make, scene: Any) -> list[str]:
    """Write a stored image, and return exiftool's arguments that write its tags."""
    pixels = Pillow.fromarray(scene)
    if orientation > 1:
        pixels = pixels.transpose(_UNDO[orientation])
    told = Pillow.Exif()
    told[0x0112] = orientation  # from it Pillow makes the turn in a HEIC's or AVIF's container
    block = told.tobytes().removeprefix(b"Exif\0\0") if path.suffix in BY_CONTAINER else b""
    make(path, np.asarray(pixels), exif=block)
    before, _ = places(orientation)
    width, height = before["XMP-tiff:ImageWidth"], before["XMP-tiff:ImageHeight"]
    arguments = ["-EXIF:Orientation=", *TAGS, *EXTRA.get(path.suffix, ())]
    arguments += [
        f"-{tag}={value if isinstance(value, (int, str)) else ' '.join(map(str, value))}"
        for tag, value in before.items()
        if "Region" not in tag
    ]
    regions = (
        f"{{AppliedToDimensions={{W={width},H={height},Unit=pixel}},RegionList=[{{Name=Oma,Type=Face,"
        "Area={X=0.25,Y=0.4,W=0.1,H=0.2,Unit=normalized}}]}"
    )
    boundary = "{RbShape=rectangle,RbUnit=relative,RbX=0.2,RbY=0.3,RbW=0.1,RbH=0.2}"
    microsoft = "{Regions=[{PersonDisplayName=Oma,Rectangle=0.2|, 0.3|, 0.1|, 0.2}]}"
    arguments += [f"-RegionInfo={regions}", f"-RegionInfoMP={microsoft}"]
    arguments.append(f"-ImageRegion=[{{RegionBoundary={boundary}}}]")
    if place != "XMP":
        arguments.append(f"-IFD0:Orientation={orientation}")
    if place in ("XMP", "both", "conflicting"):
        other = orientation % 8 + 1 if place == "conflicting" else orientation
        arguments.append(f"-XMP-tiff:Orientation={other}")
    if place == "big-endian":
        arguments.append("-ExifByteOrder=MM")
    return [*arguments, str(path)]


def expected(source: Told, orientation: int) -> Told:
    """The tags of the source as its upright copy should have them."""
    made = {key: value for key, value in source.items() if not _is_dropped(key)}
    made |= {key: value for key, value in places(orientation)[1].items() if key in source}
    made |= {key: 1 for key in made if key.endswith(":Orientation")}
    if orientation >= 5:
        for key in [key for key in made if key.endswith(("XResolution", "PixelsPerUnitX"))]:
            other = key[::-1].replace("X", "Y", 1)[::-1]
            made[key], made[other] = made[other], made[key]
    return made


def _is_dropped(key: str, reasons: dict[str, str] = NOT_KEPT) -> bool:
    return key in reasons or key.partition(":")[0].rstrip("0123456789") in reasons


def same(one: object, other: object) -> bool:
    """Whether two values are equal, numbers to a thousandth."""
    first, second = (str(value).strip("[]").replace(",", " ").split() for value in (one, other))
    try:
        pairs = zip(map(float, first), map(float, second), strict=True)
        return all(abs(a - b) < 1e-3 for a, b in pairs)
    except ValueError:
        return first == second


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_exiftool_reads_of_a_source_it_reads_of_the_copy_turned(
    suffix: str, tmp_path: Path, make: Make, scene: NDArray[np.uint8], origin: Provenance,
    limits: Limits,
) -> None:  # fmt: skip
    cases = {(place, number): tmp_path / f"{place}{number}{suffix}"
             for place in PLACES for number in range(1, 9)}  # fmt: skip
    runs = [written(path, *case, make, scene) for case, path in cases.items()]
    lines = "\n-execute\n".join("\n".join(run) for run in runs)
    (tmp_path / "arguments").write_text(lines)
    exiftool(
        "-@", tmp_path / "arguments", "-common_args", "-n", "-q", "-sep", " ", "-overwrite_original"
    )
    copies = [mend(path, origin, limits) for path in cases.values()]
    wrong = []
    for (place, number), before, after in zip(
        cases, read(*cases.values()), read(*copies), strict=True
    ):
        told = expected(before, number)
        assert len(told) > 20
        wrong += [
            (place, number, key, value, after.get(key))
            for key, value in told.items()
            if not same(value, after.get(key))
        ]
    assert wrong == []


TYPES = {"BYTE": (1, b"\6\0\0\0"), "LONG": (4, b"\6\0\0\0"), "two": (3, b"\6\0\1\0"),
         "SBYTE": (6, b"\6\0\0\0"), "SLONG": (9, b"\6\0\0\0"), "text": (2, b"6\0\0\0"),
         "float": (11, struct.pack("<f", 6)), "undefined": (7, b"\6\0\0\0")}  # fmt: skip
COUNTS = {"two": 2, "text": 2}


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [*((".jpg", kind) for kind in TYPES), (".png", "BYTE"), (".tif", "two"), (".webp", "LONG")],
)
def test_whatever_type_the_orientation_has_the_copy_says_1(
    suffix: str, kind: str, tmp_path: Path, make: Make, block: Callable[..., bytes],
    scene: NDArray[np.uint8], origin: Provenance, limits: Limits,
) -> None:  # fmt: skip
    path = make(tmp_path / f"photo{suffix}", scene.transpose(1, 0, 2)[:, ::-1], exif=block(6))
    data = path.read_bytes()
    big = suffix != ".tif"
    number, value = TYPES[kind]
    before = struct.pack(">HHIHH" if big else "<HHIHH", 0x112, 3, 1, 6, 0)
    assert data.count(before) == 1
    count = COUNTS.get(kind, 1)
    after = struct.pack(">HHI" if big else "<HHI", 0x112, number, count)
    if big and len(value.rstrip(b"\0")) and number in (3, 4, 9, 11):
        width = 2 if number == 3 else 4
        value = b"".join(value[at : at + width][::-1] for at in range(0, 4, width))
    path.write_bytes(data.replace(before, after + value))
    assert read(path)[0]["IFD0:Orientation"] in (6, "6", "6 1", "\6")
    photo = photos.read(path, limits)
    assert photo.orientation == 6
    told = read(mend(path, origin, limits))[0]
    assert told["IFD0:Orientation"] == 1
    assert "120" not in str(told["Composite:ImageSize"]).split()[0]


@pytest.mark.slow
def test_what_exiftool_reads_of_found_files_it_reads_of_their_copies(
    clear: Path, tmp_path: Path, origin: Provenance, limits: Limits
) -> None:
    found = [path for path in sorted((clear / "robust").rglob("*")) if path.is_file()]
    copies: dict[Path, Path] = {}
    for number, path in enumerate(path for path in found if path.stat().st_size < 400_000):
        try:
            with inspection.opened(path, limits) as seen:
                if eligibility.left_alone(seen) is None and seen.orientation == 1:
                    copies[path] = tmp_path / f"{number}{path.suffix}"
                    copier.write(photos.decoded(seen), copies[path], origin, limits)
        except (UnreadablePhoto, TooLarge):
            copies.pop(path, None)
    assert len(copies) > 300
    (tmp_path / "names").write_text("\n".join(map(str, [*copies, *copies.values()])))
    told = {one["SourceFile"]: one for one in read("-@", tmp_path / "names")}
    wrong = [
        (before.name, key, value, told[str(after)].get(key))
        for before, after in copies.items()
        for key, value in told[str(before)].items()
        if not (_is_dropped(key, NOT_KEPT_OF_FOUND) or key.startswith("IFD1:"))
        and not same(1 if key.endswith(":Orientation") else value, told[str(after)].get(key))
    ]
    assert wrong == []
