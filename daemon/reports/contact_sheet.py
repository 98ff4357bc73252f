"""Draw photos before and after side by side in one picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from storage.photos import Image
from storage.text import counted
from tasks.imaging.crops import changed_cell

CELL = 320
"""Width and height of a cell, in pixels of the photo; scaling down would hide the changes."""
GAP = 8
"""Pixels between two cells."""
TOP, LINE, HEADING = 36, 26, 20
"""Height of the line on top, of a title, and of the headings below it, in pixels."""
FRAME = 3
"""Pixels of the frame around the part that changed most."""
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
    """Write a picture with the part of each photo that changed most, and where in it that part is."""
    rows = -(-len(strips) // COLUMNS)
    cells = max(len(strip.images) + _is_larger(strip.images[0]) for strip in strips)
    strip_width, strip_height = cells * (CELL + GAP) + GAP, LINE + HEADING + CELL + GAP
    sheet = Picture.new("RGB", (COLUMNS * strip_width, TOP + rows * strip_height + GAP), "white")
    pen = ImageDraw.Draw(sheet)
    pen.text((GAP, GAP), _about(strips), "black", ImageFont.load_default(18))
    for number, strip in enumerate(strips):
        row, column = divmod(number, COLUMNS)
        left, top = GAP + column * strip_width, TOP + row * strip_height
        pen.text((left, top), ascii(strip.title)[1:-1], "black", ImageFont.load_default(15))
        _draw(strip, sheet, left, top + LINE)
    sheet.save(file, quality=82)


def _draw(strip: Strip, sheet: Picture.Image, left: int, top: int) -> None:
    """Draw the headings and images of a strip at a place of the sheet."""
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    cell = changed_cell(strip.images[0], strip.images[1 : 1 + strip.results], CELL)
    if _is_larger(strip.images[0]):
        pen.text((left, top), "the whole photo", "dimgrey", font)
        sheet.paste(_framed(strip.images[0], cell), (left, top + HEADING))
        left += CELL + GAP
    for heading, image in zip(strip.headings, strip.images, strict=True):
        pen.text((left, top), ascii(heading)[1:-1], "dimgrey", font)
        part = np.rint(image[cell] * 255).astype(np.uint8)
        sheet.paste(Picture.fromarray(part), (left, top + HEADING))
        left += CELL + GAP


def _about(strips: Sequence[Strip]) -> str:
    photos = counted(len(strips), "photo")
    if not any(_is_larger(strip.images[0]) for strip in strips):
        return f"{photos}: the part of each that changed most, at its own size"
    return f"{photos}: the part in the red frame changed most; beside it that part at its own size"


def _is_larger(image: Image) -> bool:
    """Return whether a photo has more than the part that is shown of it."""
    return any(side > CELL for side in image.shape[:2])


def _framed(image: Image, cell: tuple[slice, slice]) -> Picture.Image:
    """Return a whole photo, reduced to a cell, with a frame around a part of it."""
    height, width = image.shape[:2]
    scale = CELL / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    step = max(1, int(1 / scale) // 2)  # of a large photo fewer pixels are enough
    part = np.rint(image[::step, ::step] * 255).astype(np.uint8)
    whole = Picture.fromarray(part).resize(size, Picture.Resampling.BOX)
    rows, columns = (
        slice_.indices(side)[:2] for slice_, side in zip(cell, (height, width), strict=True)
    )
    corners = [(columns[0] * scale, rows[0] * scale), (columns[1] * scale - 1, rows[1] * scale - 1)]
    ImageDraw.Draw(whole).rectangle(corners, outline="red", width=FRAME)
    return whole
