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
class Pair:
    """A photo and its mended copy, of one size."""

    title: str
    before: Image
    after: Image


def write(pairs: Sequence[Pair], file: Path) -> None:
    """Draw the part of each photo that changed most, before and after, as a JPEG or WebP file."""
    rows = -(-len(pairs) // ACROSS)
    width, height = ACROSS * (2 * CELL + 3 * GAP), rows * (CELL + LINE + GAP) + GAP
    sheet = Picture.new("RGB", (width, height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for number, pair in enumerate(pairs):
        row, column = divmod(number, ACROSS)
        left, top = GAP + column * (2 * CELL + 3 * GAP), GAP + row * (CELL + LINE + GAP)
        draw.text((left, top), ascii(pair.title)[1:-1], "black", font)
        y, x = most_changed(pair.before, pair.after)
        for step, image in enumerate((pair.before, pair.after)):
            part = np.rint(image[y : y + CELL, x : x + CELL] * 255).astype(np.uint8)
            sheet.paste(Picture.fromarray(part), (left + step * (CELL + GAP), top + LINE))
    sheet.save(file, quality=82)


def most_changed(before: Image, after: Image) -> tuple[int, int]:
    """Return top and left of the cell in which two images differ most."""
    change = np.abs(after - before).mean(axis=2)  # (H, W)
    height, width = change.shape
    corners = [
        (top, left)
        for top in range(0, max(1, height - CELL + 1), CELL // 4)
        for left in range(0, max(1, width - CELL + 1), CELL // 4)
    ]
    return max(corners, key=lambda at: change[at[0] : at[0] + CELL, at[1] : at[1] + CELL].sum())
