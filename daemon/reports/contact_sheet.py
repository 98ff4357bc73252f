"""Draw photos before and after side by side in one picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from storage.photos import Image
from tasks.imaging.crops import changed_cell

CELL = 320
"""Width and height of a cell, in pixels of the photo; scaling down would hide the changes."""
GAP = 8
"""Pixels between two cells."""
LINE, HEADING = 26, 20
"""Height of a title, and of the headings below it, in pixels."""
COLUMNS = 2
"""Number of strips side by side."""


@dataclass(frozen=True)
class Strip:
    """A photo, its results and other images of the same size, drawn side by side."""

    title: str
    headings: Sequence[str]
    """What is written above each image."""
    images: Sequence[Image]
    """The first is the photo before, the second after."""
    results: int = 1
    """Number of results after the first image; the cell shows where they differ most from it."""


def write(strips: Sequence[Strip], file: Path) -> None:
    """Write a picture with the part of each photo that changed most."""
    rows = -(-len(strips) // COLUMNS)
    strip_width = max(len(strip.images) for strip in strips) * (CELL + GAP) + GAP
    strip_height = LINE + HEADING + CELL + GAP
    sheet = Picture.new("RGB", (COLUMNS * strip_width, rows * strip_height + GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for number, strip in enumerate(strips):
        row, column = divmod(number, COLUMNS)
        left, top = GAP + column * strip_width, GAP + row * strip_height
        pen.text((left, top), ascii(strip.title)[1:-1], "black", ImageFont.load_default(15))
        _draw(strip, sheet, left, top + LINE)
    sheet.save(file, quality=82)


def _draw(strip: Strip, sheet: Picture.Image, left: int, top: int) -> None:
    """Draw the headings and images of a strip at a place of the sheet."""
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    cell = changed_cell(strip.images[0], strip.images[1 : 1 + strip.results], CELL)
    for heading, image in zip(strip.headings, strip.images, strict=True):
        pen.text((left, top), ascii(heading)[1:-1], "dimgrey", font)
        part = np.rint(image[cell] * 255).astype(np.uint8)
        sheet.paste(Picture.fromarray(part), (left, top + HEADING))
        left += CELL + GAP
