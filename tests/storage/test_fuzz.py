"""Photos changed at random, read here and in a jail: a copy of the same pixels, left alone or refused."""

import io
import os
import resource
import struct
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pillow_heif
import psutil
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow

sys.path.insert(0, str(Path(__file__).parent))

from mutator import changed

from storage import eligibility, inspection, jail, photos
from storage.errors import TooLarge, UnreadablePhoto
from storage.formats import arrays
from storage.formats.containers import jpeg
from storage.formats.detect import Format
from storage.formats.safe_open import Limits
from storage.metadata import extended_xmp, jpeg_blocks, xmp
from storage.metadata.provenance import Provenance
from tests.storage import copier

Make = Callable[..., Path]
SUFFIXES = (".jpg", ".png", ".tif", ".webp", ".heic", ".avif")
SECONDS = 5.0
"""Processor time to read a file and write its copy."""
MEGABYTES = 600
"""Memory that all cases together may add."""
LIMITS = Limits(max_bytes=50_000_000, max_pixels=1_000_000, min_free_bytes=0)
MOST_DIFFERENCE = 4.0
"""Of 255, between the means of blocks of the source and the copy.

Where a lossy copy has more, it is compared with what the finest copy of its class holds: coarse
chroma cannot show the broken colours of single pixels."""
CASES = int(os.environ.get("PHOTOMEND_FUZZ_CASES", "20000"))
FIRST = int(os.environ.get("PHOTOMEND_FUZZ_FIRST", "0"))


@pytest.fixture(scope="module")
def seeds(
    tmp_path_factory: pytest.TempPathFactory, make: Make, scene: NDArray[np.uint8], icc: bytes,
    block: Callable[..., bytes], packet: bytes,
) -> dict[str, bytes]:  # fmt: skip
    """Small photos of each format, with all kinds of metadata, by name."""
    folder, small = tmp_path_factory.mktemp("seeds"), np.ascontiguousarray(scene[::3, ::3])
    made = {
        f"photo{suffix}": make(
            folder / f"photo{suffix}", small, exif=block(6), xmp=packet, profile=icc
        ).read_bytes()
        for suffix in SUFFIXES
    }
    made["plain.jpg"] = make(folder / "plain.jpg", small).read_bytes()
    made["grey.jpg"] = make(folder / "grey.jpg", small[..., 0], progressive=True).read_bytes()
    made["alpha.png"] = make(folder / "alpha.png", np.dstack([small, small[..., :1]])).read_bytes()
    made["full.jpg"] = _full(made["photo.jpg"], made["plain.jpg"])
    return made


def _full(photo: bytes, preview: bytes) -> bytes:
    """A JPEG with extended XMP, EXIF in two segments, an MPF, an Adobe segment and IPTC."""
    file = io.BytesIO(photo)
    parts = jpeg.metadata(file)
    long = xmp.Packet()
    long.set("dc:description", "d" * 70_000)
    main, further = extended_xmp.split(long.serialise())
    kept = [part for part in parts if not part[1].startswith(jpeg_blocks.XMP)]
    index = struct.pack(">HHHI4s", 3, 0xB000, 7, 4, b"0100")
    index += struct.pack(">HHII", 0xB001, 4, 1, 2) + struct.pack(">HHII", 0xB002, 7, 32, 50)
    index += bytes(4) + struct.pack(">IIIHH", 0x030000, 1, 0, 0, 0)
    index += struct.pack(">IIIHH", 0x010001, len(preview), 9, 0, 0)
    extra = [
        (0xE1, b"Exif\0\0" + b"more of the block" * 9), (0xE1, jpeg_blocks.XMP + main),
        *((0xE1, body) for body in further), (0xE2, b"MPF\0MM\0*\0\0\0\x08" + index),
        (0xED, b"Photoshop 3.0\x008BIM\4\4\0\0\0\0\0\x08\x1c\2\x19\0\3Oma"), (0xFE, b"comment"),
        (0xEE, b"Adobe\0d\0\0\0\0\1"),
    ]  # fmt: skip
    return jpeg.splice(file, [*kept, *extra])


class Cases:
    """Puts the cases through all that reads and writes photos, and counts how they end."""

    def __init__(self, seeds: dict[str, bytes], folder: Path, origin: Provenance) -> None:
        self.names, self.data = list(seeds), list(seeds.values())
        self.folder, self.origin = folder, origin
        self.ends: Counter[str] = Counter()
        self.inside: psutil.Process | None = None
        """The jail, if they are read in one."""
        pillow_heif.register_heif_opener()

    def seconds(self) -> float:
        """Return the processor time of all that reads and writes the cases, so far."""
        inside = self.inside.cpu_times() if self.inside else None
        return time.process_time() + (inside.user + inside.system if inside else 0)

    def most_megabytes(self) -> int:
        """Return the most memory that the process which reads the cases has had so far."""
        if self.inside is None:
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        told = Path(f"/proc/{self.inside.pid}/status").read_text()
        return int(told.partition("VmHWM:")[2].split()[0]) // 1024

    def run(self, first: int, count: int) -> None:
        before = self.most_megabytes()
        for number in range(first, first + count):
            at, data = changed(self.data, number)
            path = self.folder / f"case{number}{Path(self.names[at]).suffix}"
            path.write_bytes(data)
            self.ends[self.end_of(path)] += 1
            path.unlink()  # that of a case that fails stays
        assert self.most_megabytes() - before < MEGABYTES

    def end_of(self, path: Path) -> str:
        begun, output = self.seconds(), self.folder / "output"
        photo = self.copied(path, output)
        assert self.seconds() - begun < SECONDS, path
        if isinstance(photo, str):
            return photo
        assert photos.untouched(output), path
        self.compare(path, photo, output)
        return "written"

    def copied(self, path: Path, output: Path) -> photos.Photo | str:
        """Write the photo's copy and return the photo; where there is none, how the case ended."""
        photos.ours(path)
        try:
            with inspection.opened(path, LIMITS) as seen:
                if eligibility.left_alone(seen) is not None:
                    return "left alone"
                photo = photos.decoded(seen)
        except (UnreadablePhoto, TooLarge) as error:
            assert path.name in str(error)
            return "refused"
        copier.write(photo, output, self.origin, LIMITS)
        return photo

    def compare(self, path: Path, photo: photos.Photo, output: Path) -> None:
        def difference(source: NDArray[np.float32]) -> float:
            return float(np.abs(copy - _low_frequencies(source)).max())

        def alike(sources: list[NDArray[np.float32]]) -> bool:
            """Return whether the copy shows one of these, or the finest copy of one."""
            if any(difference(source) < MOST_DIFFERENCE for source in sources):
                return True
            finest = () if photo.coding.lossless else (_finest(each, photo) for each in sources)
            return any(difference(source) < MOST_DIFFERENCE for source in finest)

        copy = _low_frequencies(_decoded(output))
        assert alike([255 * photo.image]), path
        try:
            source = _decoded(path)
        except Exception:  # noqa: BLE001 - what another decoder raises for a broken file
            return
        assert alike([arrays.upright(source, orientation) for orientation in range(1, 9)]), path


def _decoded(path: Path) -> NDArray[np.float32]:
    """Return the pixels as Pillow decodes them, without turning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Pillow.open(path) as file:
            return np.asarray(file.convert("RGB"), np.float32)


def _finest(pixels: NDArray[np.float32], photo: photos.Photo) -> NDArray[np.float32]:
    """Return pixels as the finest copy of the photo's class holds them, coded by Pillow."""
    made = io.BytesIO()
    name = {Format.HEIC: "HEIF"}.get(photo.format, photo.format.name)
    image = Pillow.fromarray(np.rint(pixels).astype(np.uint8))
    image.save(made, name, quality=100, subsampling=photo.coding.sampling)
    with Pillow.open(made) as file:
        return np.asarray(file.convert("RGB"), np.float32)


def _low_frequencies(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the means of 4 x 4 blocks, (4, 4, 3)."""
    rows = np.array_split(np.asarray(pixels, np.float32), 4)
    parts = [[part.mean((0, 1)) for part in np.array_split(row, 4, 1)] for row in rows]
    return np.array(parts, np.float32)


@pytest.fixture(params=["here", "jail"])
def cases(
    request: pytest.FixtureRequest, seeds: dict[str, bytes], tmp_path: Path, origin: Provenance
) -> Iterator[Cases]:
    made = Cases(seeds, tmp_path, origin)
    if request.param == "here":
        yield made
        return
    with jail.used() as inside:
        inside.confinement()
        made.inside = psutil.Process(inside.pid)
        yield made
        assert inside.pid == made.inside.pid  # no case has ended it


def test_each_seed_is_written(cases: Cases) -> None:
    for name, data in zip(cases.names, cases.data, strict=True):
        path = cases.folder / name
        path.write_bytes(data)
        assert cases.end_of(path) == "written"


def test_a_few_hundred_changed_photos(cases: Cases) -> None:
    cases.run(FIRST, 300)
    assert all(cases.ends[end] > 20 for end in ("written", "left alone", "refused"))


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("cases", ["jail"], indirect=True)
def test_very_many_changed_photos(cases: Cases) -> None:
    cases.run(FIRST, CASES)
    print(dict(cases.ends))
