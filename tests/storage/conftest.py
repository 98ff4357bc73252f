"""Photos of each format, made or found, and what is needed to write one."""

import io
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageCms

from storage.formats.safe_open import Limits
from storage.metadata.provenance import Provenance, place_of

CLEAR = Path(__file__).parents[2] / "../shared/photos/clear"
XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:lr="http://ns.adobe.com/lightroom/1.0/">
 <rdf:Description rdf:about="" xmp:Rating="4" xmp:CreatorTool="Firmware 1.2"
  xmpMM:DocumentID="xmp.did:source" xmpMM:InstanceID="xmp.iid:source">
  <dc:subject><rdf:Bag><rdf:li>Oma &amp; Opa</rdf:li><rdf:li>Gr\xc3\xbcn</rdf:li></rdf:Bag></dc:subject>
  <lr:hierarchicalSubject><rdf:Bag><rdf:li>a|b</rdf:li></rdf:Bag></lr:hierarchicalSubject>
 </rdf:Description></rdf:RDF></x:xmpmeta>"""

LIMITS = Limits(max_bytes=500_000_000, max_pixels=200_000_000, min_free_bytes=0)


def _origin() -> Provenance:
    return Provenance(
        place=place_of("family", Path("2024/Gr\u00fcn\udcff.jpg")), content_hash="ab" * 32, job_id=7,
        claim=2, category="motion-blur", software="photomend 0.1.0", generative=False,
        mended_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), steps="NAFNet",
    )  # fmt: skip


@pytest.fixture
def limits() -> Limits:
    return LIMITS


@pytest.fixture
def origin() -> Provenance:
    return _origin()


@pytest.fixture(scope="session")
def clear() -> Path:
    """The folder of clear photos."""
    if not CLEAR.is_dir():
        pytest.skip("the photos for tests are not on this machine")
    return CLEAR


@pytest.fixture(scope="session")
def scene() -> NDArray[np.uint8]:
    """A smooth scene with edges and colours, (H, W, 3) = (120, 160, 3), RGB."""
    noise = np.random.default_rng(7).random((9, 12, 3))
    large = cv2.resize(noise, (160, 120), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    large[20:60, 30:80] *= 0.4
    return (cv2.GaussianBlur(large, (0, 0), 1.5) * 255).round().astype(np.uint8)


@pytest.fixture(scope="session")
def icc() -> bytes:
    """A profile that no encoder knows by itself."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def exif_block(orientation: int = 1, *, size: tuple[int, int] = (160, 120)) -> bytes:
    """An EXIF block of a camera, with GPS, maker note and thumbnail."""
    exif = Pillow.Exif()
    exif[0x010F], exif[0x0110], exif[0x0131] = "Canon", "EOS 40D", "Firmware 1.2"
    exif[0x0112], exif[0x4746] = orientation, 4
    below = exif.get_ifd(0x8769)
    below[0x9003], below[0x9291], below[0x9011] = "2024:05:06 07:08:09", "123", "+02:00"
    below[0x927C] = b"Canon\0maker note" * 4
    below[0xA002], below[0xA003] = size
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2], gps[3], gps[4] = "N", (52.0, 31.0, 12.5), "E", (13.0, 24.0, 18.0)
    return exif.tobytes().removeprefix(b"Exif\0\0")


@pytest.fixture(scope="session")
def make(scene: NDArray[np.uint8], icc: bytes) -> Callable[..., Path]:
    """Write the scene, or other pixels, into a file of the format its suffix names."""

    def written(
        path: Path, pixels: NDArray[np.uint8] | None = None, *, exif: bytes = b"",
        xmp: bytes = b"", profile: bytes | None = None, **options: object,
    ) -> Path:  # fmt: skip
        image = Pillow.fromarray(scene if pixels is None else pixels)
        given: dict[str, object] = dict(options)
        if exif:
            given["exif"] = b"Exif\0\0" + exif
        if profile:
            given["icc_profile"] = profile
        if path.suffix == ".heic":
            pillow_heif.register_heif_opener()
            given.setdefault("quality", 90)
        if xmp and path.suffix == ".png":
            from PIL.PngImagePlugin import PngInfo

            given["pnginfo"] = (info := PngInfo())
            info.add_itxt("XML:com.adobe.xmp", xmp.decode())
        elif xmp and path.suffix == ".tif":
            given["tiffinfo"] = {700: xmp}
        elif xmp:
            given["xmp"] = xmp
        if path.suffix in (".jpg", ".webp", ".avif"):
            given.setdefault("quality", 90)
        held = io.BytesIO()
        plugin = {".jpg": "JPEG", ".png": "PNG", ".tif": "TIFF", ".webp": "WEBP", ".heic": "HEIF"}
        image.save(held, plugin.get(path.suffix, "AVIF"), **given)
        path.write_bytes(held.getvalue())
        return path

    return written


@pytest.fixture(scope="session")
def block() -> Callable[..., bytes]:
    return exif_block


@pytest.fixture(scope="session")
def packet() -> bytes:
    return XMP
