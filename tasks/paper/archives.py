"""Refuse weights files that would unfold to more than they hold, before a library opens them.

torch stores tensors uncompressed, so an archive holds no more bytes than its file has. Only programs
of TorchScript are compressed, which nothing here reads.
"""

import os
import struct
import zipfile
from pathlib import Path
from typing import BinaryIO

from storage.errors import WeightsWrong

MAX_DIRECTORY_BYTES = 8 << 20
"""Largest directory of an archive: about 80,000 entries; the largest net read here has 1,500."""
MAX_HEADER_BYTES = 10_000_000
"""Largest header of a safetensors file, about 80,000 tensors; the library allows ten times that."""
_END = struct.Struct("<4s4x2H2LH")
"""The end of a zip file: signature, numbers of entries, size and place of the directory, comment."""
_LOCATOR = struct.Struct("<4s4xQ4x")
_END_64 = struct.Struct("<4s36xQQ")


def check(file: Path) -> None:
    """Check a .safetensors, or a .pth or .pt; a pickle that is no archive may be any.

    Raises:
        WeightsWrong: it is no archive as torch writes them, or its header is too large.
        FileNotFoundError: it does not exist.

    """
    with file.open("rb") as opened:
        size = os.fstat(opened.fileno()).st_size
        reason = None
        if file.suffix == ".safetensors":
            header = int.from_bytes(opened.read(8), "little")
            if MAX_HEADER_BYTES < header <= size:
                reason = f"its header has {header:,} bytes, more than any net needs"
        elif opened.read(2) == b"PK" or zipfile.is_zipfile(opened):
            reason = _refusal(opened, size)
    if reason:
        raise WeightsWrong(f"{file} is refused: {reason}")


def check_folder(folder: Path) -> None:
    """Check all .safetensors below a folder.

    Raises:
        WeightsWrong: the header of one is too large.

    """
    for file in sorted(folder.rglob("*.safetensors")):
        check(file)


def _refusal(opened: BinaryIO, size: int) -> str | None:
    """Return why an archive is refused; None if it is not."""
    directory = _directory_bytes(opened, size)
    if directory is None:
        return "it is damaged, its directory is not where it says"
    if directory > MAX_DIRECTORY_BYTES:
        return f"its directory has {directory:,} bytes, more than any net needs"
    try:
        with zipfile.ZipFile(opened) as archive:
            entries = [one for one in archive.infolist() if not _is_program(one.filename)]
    except zipfile.BadZipFile:
        return "it is damaged, its directory cannot be read"
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            return f"its entry {entry.filename!r} is compressed, and torch compresses none"
    unfolded = sum(entry.file_size for entry in entries)
    return f"it unfolds from {size:,} to {unfolded:,} bytes" if unfolded > size else None


def _is_program(name: str) -> bool:
    return name.split("/")[1:2] == ["code"]


def _directory_bytes(opened: BinaryIO, size: int) -> int | None:
    """Return the size of the directory; None if readers could disagree on where it is.

    It must end where the end records begin, and these at the end of the file: Python's reader looks
    there, torch's where the records say.
    """
    tail = _read(opened, size - _END.size, _END.size)
    if len(tail) < _END.size:
        return None
    signature, _, _, directory, start, comment = _END.unpack(tail)
    if signature != b"PK\5\6" or comment:
        return None
    end = size - _END.size
    locator = _read(opened, end - _LOCATOR.size, _LOCATOR.size)
    if locator[:4] == b"PK\6\7":
        _, place = _LOCATOR.unpack(locator)
        end -= _LOCATOR.size + _END_64.size
        record = _read(opened, end, _END_64.size)
        if place != end or record[:4] != b"PK\6\6":
            return None
        _, directory, start = _END_64.unpack(record)
    return int(directory) if start + directory == end else None


def _read(opened: BinaryIO, at: int, length: int) -> bytes:
    opened.seek(max(0, at))
    return opened.read(length)
