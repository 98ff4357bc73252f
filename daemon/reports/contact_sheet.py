"""Draw photos before and after side by side in one picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from storage.photos import Image

CELL = 320
"""Width and height of a cell, in pixels of the photo; scaling down would hide the changes."""
GAP = 8
"""Pixels between two cells."""
LINE = 26
"""Height of a title, in pixels."""
COLUMNS = 2
"""Number of strips side by side."""


@dataclass(frozen=True)
class Strip:
    """A photo, its results and other images of the same size, drawn side by side."""

    title: str
    images: Sequence[Image]
    """The first is the photo before, the second after."""
    results: int = 1
    """Number of results after the first image; the cell shows where they differ most from it."""


def write(strips: Sequence[Strip], file: Path) -> None:
    """Write a picture with the part of each photo that changed most."""
    rows = -(-len(strips) // COLUMNS)
    strip_width = max(len(strip.images) for strip in strips) * (CELL + GAP) + GAP
    sheet = Picture.new("RGB", (COLUMNS * strip_width, rows * (CELL + LINE + GAP) + GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for number, strip in enumerate(strips):
        row, column = divmod(number, COLUMNS)
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
