"""Code the small pictures that the page shows: an operation of a jail, as it reads a photo's profile."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures

from storage import colours

QUALITY, EFFORT = 80, 2
"""Quality of a WebP, and the time that its encoder takes, 0 to 6."""


def picture(pixels: NDArray[np.uint8], profile: bytes) -> bytes:
    """Return RGB pixels (H, W, 3) as a WebP in sRGB, without any metadata."""
    made = io.BytesIO()
    shown = colours.to_srgb(pixels, profile)
    Pictures.fromarray(shown).save(made, "WEBP", quality=QUALITY, method=EFFORT)
    return made.getvalue()
