"""Convert pixels with a colour profile to sRGB, the colours that every browser shows."""

import io
import struct
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures
from PIL import ImageCms

MOST_PROFILE_BYTES = 1_000_000
"""A larger profile is ignored; those of cameras and phones have less than 600 KB."""
MOST_TAGS = 100
"""LittleCMS reads no more tags of a profile, either."""
MODES = {b"RGB ": "RGB", b"GRAY": "L"}
"""For the colour space that a profile names, the pixels that it is for."""
_SPACE = slice(16, 20)
_TAG = struct.Struct(">4sII")
_TAGS_AT = 132
_CHAIN = b"mpet"
"""A chain of any number of steps: a small profile may ask for hours."""


def to_srgb(pixels: NDArray[np.uint8], profile: bytes) -> NDArray[np.uint8]:
    """Return RGB pixels (H, W, 3) in sRGB; as they are if the profile is none that can be used."""
    mode = MODES.get(profile[_SPACE])
    if mode is None or len(profile) > MOST_PROFILE_BYTES or _may_take_hours(profile):
        return pixels
    try:
        source, target = (ImageCms.ImageCmsProfile(io.BytesIO(each)) for each in (profile, srgb()))
        transform = ImageCms.buildTransform(source, target, mode, "RGB")
        shown = Pictures.fromarray(pixels if mode == "RGB" else pixels[..., 0])
        made = transform.apply(shown)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return pixels
    return np.asarray(made, np.uint8)


def _may_take_hours(profile: bytes) -> bool:
    """Return whether a profile has a chain of steps, or more tags than a profile needs."""
    count = int.from_bytes(profile[_TAGS_AT - 4 : _TAGS_AT], "big")
    if count > MOST_TAGS or _TAGS_AT + count * _TAG.size > len(profile):
        return True
    tags = _TAG.iter_unpack(profile[_TAGS_AT : _TAGS_AT + count * _TAG.size])
    return any(profile[at : at + len(_CHAIN)] == _CHAIN for _, at, _ in tags)


@cache
def srgb() -> bytes:
    """Return the profile of sRGB."""
    made: bytes = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return made
