"""Detect photo formats by file name and by the first bytes.

Imports no image library, because the watcher reads names by the hundred thousand.
"""

from enum import StrEnum


class Format(StrEnum):
    """The formats that photomend reads and writes."""

    JPEG = "JPEG"
    PNG = "PNG"
    TIFF = "TIFF"
    WEBP = "WebP"
    HEIC = "HEIC"
    AVIF = "AVIF"


FORMATS = {
    ".jpg": Format.JPEG, ".jpeg": Format.JPEG, ".jpe": Format.JPEG, ".jfif": Format.JPEG,
    ".png": Format.PNG, ".tif": Format.TIFF, ".tiff": Format.TIFF, ".webp": Format.WEBP,
    ".heic": Format.HEIC, ".heif": Format.HEIC, ".hif": Format.HEIC, ".avif": Format.AVIF,
}  # fmt: skip
RAW = frozenset(
    [
        ".3fr",
        ".arw",
        ".cr2",
        ".cr3",
        ".crw",
        ".dcr",
        ".dng",
        ".erf",
        ".fff",
        ".gpr",
        ".iiq",
        ".k25",
        ".kdc",
        ".mef",
        ".mos",
        ".mrw",
        ".nef",
        ".nrw",
        ".orf",
        ".pef",
        ".raf",
        ".raw",
        ".rw2",
        ".rwl",
        ".sr2",
        ".srf",
        ".srw",
        ".x3f",
    ]
)
OTHERS = {
    ".gif": "GIF", ".bmp": "BMP", ".jxl": "JPEG XL", ".jp2": "JPEG 2000", ".apng": "APNG",
    ".heics": "HEIC sequence", ".avifs": "AVIF sequence", ".psd": "Photoshop",
}  # fmt: skip
"""Suffixes of other pictures, which are left alone with that reason."""
_SUFFIXES = frozenset({*FORMATS, *RAW, *OTHERS})

PREFIX_BYTES = 64
"""Number of bytes at the start of a file that identify its format."""
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
_OTHER_MAGIC = {
    b"GIF8": "GIF", b"BM": "BMP", b"8BPS": "Photoshop", b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL", b"\0\0\0\x0cjP  ": "JPEG 2000", b"\xff\x4f\xff\x51": "JPEG 2000",
}  # fmt: skip


def is_photo_name(name: str) -> bool:
    """Return whether the watcher records a file of this name; some are left alone later."""
    dot = name.rfind(".")  # PurePath(name).suffix takes ten times as long
    return dot > 0 and name[dot:].lower() in _SUFFIXES


def sniff(prefix: bytes) -> Format | str | None:
    """Return the format that the first bytes of a file have.

    A text names a format that photomend does not take; None is no format we know.
    """
    if prefix.startswith(b"\xff\xd8\xff"):
        return Format.JPEG
    if prefix.startswith(b"\x89PNG\r\n\x1a\n"):
        return Format.PNG
    if prefix[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return Format.TIFF
    if prefix[:4] == b"RIFF" and prefix[8:12] == b"WEBP":
        return Format.WEBP
    if prefix[4:8] == b"ftyp":
        return _sniff_brands(prefix)
    return next((name for magic, name in _OTHER_MAGIC.items() if prefix.startswith(magic)), None)


def _sniff_brands(prefix: bytes) -> Format | None:
    """Return HEIC or AVIF by the brands; with a neutral major brand, the compatible brands decide."""
    size = min(int.from_bytes(prefix[:4], "big"), len(prefix))
    brands = [prefix[8:12], *(prefix[at : at + 4] for at in range(16, size, 4))]
    for brand in brands:
        if brand in (b"avif", b"avis"):
            return Format.AVIF
        if brand in _HEIC_BRANDS:
            return Format.HEIC
    return Format.HEIC if brands[0] in (b"mif1", b"msf1") else None
