"""A sheet of before and after, for an owner who wants to see at a glance what was done."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from storage.photos import Image

CELL = 320
"""Pixels of the photo in a cell: at its own size, as scaling down would hide what was mended."""
GAP, LINE, ACROSS = 8, 26, 2


@dataclass(frozen=True)
class Strip:
    """A photo, its mended copy, and what else is shown beside them; all of one size."""

    title: str
    images: Sequence[Image]
    """The first is before, the second after."""
    results: int = 1
    """So many images after the first are results: what changed most in them is shown."""


def write(strips: Sequence[Strip], file: Path) -> None:
    """Draw the part of each photo that changed most, as a JPEG or WebP file."""
    rows = -(-len(strips) // ACROSS)
    strip_width = max(len(strip.images) for strip in strips) * (CELL + GAP) + GAP
    sheet = Picture.new("RGB", (ACROSS * strip_width, rows * (CELL + LINE + GAP) + GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for number, strip in enumerate(strips):
        row, column = divmod(number, ACROSS)
        left, top = GAP + column * strip_width, GAP + row * (CELL + LINE + GAP)
        draw.text((left, top), ascii(strip.title)[1:-1], "black", font)
        y, x = most_changed(*strip.images[: 1 + strip.results])
        for step, image in enumerate(strip.images):
            part = np.rint(image[y : y + CELL, x : x + CELL] * 255).astype(np.uint8)
            sheet.paste(Picture.fromarray(part), (left + step * (CELL + GAP), top + LINE))
    sheet.save(file, quality=82)


def most_changed(before: Image, *after: Image) -> tuple[int, int]:
    """Return top and left of the cell in which images differ most from the first."""
    change = np.max([np.abs(each - before).mean(axis=2) for each in after], axis=0)  # (H, W)
    height, width = change.shape
    corners = [
        (top, left)
        for top in range(0, max(1, height - CELL + 1), CELL // 4)
        for left in range(0, max(1, width - CELL + 1), CELL // 4)
    ]
    return max(corners, key=lambda at: change[at[0] : at[0] + CELL, at[1] : at[1] + CELL].sum())
