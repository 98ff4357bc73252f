"""The blocks that Samsung's phones append to a JPEG, or write into the sefd box of a HEIC."""

import struct

from storage.uncarried import words

_DROPPED = ("Image_UTC_Data", "MCC_Data", "Camera_Scene_Info", "Camera_Capture_Mode_Info",
            "Color_Display_P3", "Photo_HDR_Info", "Watermark_Info", "Gallery_DC_Data")  # fmt: skip
"""Blocks of a few bytes: the time, the country, the scene."""
_SMALL_BYTES = 4096
_MOST_BLOCKS = 256
_KINDS = (("depth", words.DEPTH), ("sound", words.SOUND), ("motion", words.FILM))


def trailer(data: bytes) -> tuple[int, list[str]]:
    """Return where the blocks at the end of some bytes begin, and what a copy would lack of them.

    Without blocks, that is the end of the bytes.
    """
    whole = data.rstrip(b"\0\r\n ")
    head = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    if whole[-4:] != b"SEFT" or head < 0 or whole[head : head + 4] != b"SEFH":
        return len(data), []
    count = int.from_bytes(whole[head + 8 : head + 12], "little")
    if count > _MOST_BLOCKS or head + 12 + 12 * count > len(whole):
        return len(data), []
    first, reasons = head, []
    for number in range(count):
        offset, size = struct.unpack_from("<4xII", whole, head + 12 + 12 * number)
        start = head - offset
        if offset < 8 or start < 0 or size > offset:
            return len(data), []
        first = min(first, start)
        stop = start + 8 + int.from_bytes(whole[start + 4 : start + 8], "little")
        name = words.shown(whole[start + 8 : min(stop, start + 72)])
        if name not in _DROPPED or size > _SMALL_BYTES:
            found = (reason for word, reason in _KINDS if word in name.lower())
            reasons.append(next(found, words.part(f"Samsung's {name}")))
    return first, reasons
