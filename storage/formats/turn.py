"""A turn by an EXIF orientation, as pixels, places and sizes of a photo make it."""

from dataclasses import dataclass
from typing import TypeVar

TRANSPOSED, MIRRORED, FLIPPED = (5, 6, 7, 8), (2, 3, 6, 7), (3, 4, 7, 8)
"""Orientations whose rows are columns; then those mirrored left to right; then top to bottom."""
Pair = tuple[float, float]
"""A horizontal and a vertical number."""
_Number = TypeVar("_Number", int, float)


def swapped(orientation: int, pair: tuple[_Number, _Number]) -> tuple[_Number, _Number]:
    """Return a horizontal and a vertical number after the turn: exchanged, or as they are."""
    return (pair[1], pair[0]) if orientation in TRANSPOSED else pair


@dataclass(frozen=True)
class Turn:
    """A turn by an EXIF orientation, and the change of size that a restoration may bring."""

    orientation: int
    """1 to 8."""
    source: tuple[int, int]
    """Width and height of the upright source, in pixels."""
    size: tuple[int, int]
    """Width and height of the copy, in pixels."""

    @property
    def stored(self) -> tuple[int, int]:
        """Width and height of the pixels as the source's file has them."""
        return swapped(self.orientation, self.source)

    def sides(self, width: float, height: float) -> Pair:
        """Return the width and height of an area, in parts of the whole."""
        return swapped(self.orientation, (width, height))

    def point(self, x: float, y: float) -> Pair:
        """Return a point, in parts of the whole (0 to 1)."""
        x, y = swapped(self.orientation, (x, y))
        return (
            1 - x if self.orientation in MIRRORED else x,
            1 - y if self.orientation in FLIPPED else y,
        )

    def pixel_point(self, x: float, y: float) -> Pair:
        """Return a point, in pixels."""
        across, down = self.point(x / self.stored[0], y / self.stored[1])
        return across * self.size[0], down * self.size[1]

    def pixel_sides(self, width: float, height: float) -> Pair:
        """Return the width and height of an area, in pixels."""
        across, down = self.sides(width / self.stored[0], height / self.stored[1])
        return across * self.size[0], down * self.size[1]

    def subject(self, values: tuple[int, ...]) -> tuple[int, ...]:
        """Return a SubjectArea or SubjectLocation of EXIF: a centre and two sides, or a diameter.

        An area of an unknown form stays as it is.
        """
        if not 2 <= len(values) <= 4:
            return values
        made: tuple[float, ...] = self.pixel_point(*values[:2])
        if len(values) == 4:
            made += self.pixel_sides(*values[2:])
        elif len(values) == 3:
            made += (values[2] * self.size[0] / self.source[0],)
        return tuple(max(0, round(value)) for value in made)
