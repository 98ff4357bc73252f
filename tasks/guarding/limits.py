"""The figures of the guard by name, and how large or small each may be, for each category.

The limits were chosen from the tables of `tasks.training.calibrate_guard`, and on photos that lost
texture or small objects (`docs/experiments.md`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from storage.enums import Category


@dataclass(frozen=True)
class Limit:
    """How large a figure may be, or how small."""

    what: str
    """What the figure measures, as the subject of a sentence."""
    most: float | None = None
    least: float | None = None
    unit: str = ""

    def exceeded(self, value: float) -> bool:
        """Return whether a value is beyond the limit."""
        return (self.most is not None and value > self.most) or (
            self.least is not None and value < self.least
        )

    def sentence(self, value: float) -> str:
        """Return a sentence with a value that is beyond the limit."""
        rule = f"at most {self.most:g}" if self.most is not None else f"at least {self.least:g}"
        return f"{self.what} is {value:.2f}{self.unit}, {rule} allowed"


LEVELS = "/255"
COLOURS = {
    "mean_shift": Limit("the shift of the mean colour", 2, unit=LEVELS),
    "low_shift": Limit("the shift of the low frequencies", 3, unit=LEVELS),
}
"""193 results of a diffusion restorer moved the mean by at most 1.3."""
BLOCK_SHIFT = Limit("the shift of a part of the photo", 20, unit=LEVELS)
"""Removing a bright ghost moved one by 17.9."""
PARTS = {
    "block_shift": BLOCK_SHIFT,
    "dark_shift": Limit("the shift of the colour of dark parts", 4, unit=LEVELS),
    "clipped_shift": Limit("the shift of the colour of clipped parts", 6, unit=LEVELS),
}

WHOLE: Mapping[Category, Mapping[str, Limit]] = {
    Category.SUPER_RESOLUTION: COLOURS
    | {
        "unexplained": Limit("the share of the photo that no kernel explains", 0.2),
        "seam": Limit("the step along a seam", 2.5, unit=LEVELS),
    },
    Category.MOTION_BLUR: COLOURS
    | {
        "unexplained": Limit("the share of the photo that no kernel explains", 0.13),
        "repaired": Limit("the repair of the spectrum", least=0.4),
    },
    Category.REFLECTION: COLOURS
    | {
        "light_left": Limit("the light that is left", least=0.5),
        "edges_alike": Limit("the correlation of the edges", least=0.5),
        "repaired": Limit("the repair of the spectrum", least=0.2),
        "busier": Limit("the density of the edges in the light, relative to the photo's", 1.01),
    },
}
"""Figures of the whole photo: a result beyond a limit is refused."""

BLOCKS: Mapping[Category, Mapping[str, Limit]] = {
    Category.SUPER_RESOLUTION: PARTS
    | {
        "texture_lost": Limit("the share of texture that is lost", 0.3),
        "detail_removed": Limit("the correlation of what was removed with what stays", 0.38),
        "texture_unlike": Limit("the part of texture that is not the photo's", 0.4),
        "colour_lost": Limit("the colour that small objects lost", 7, unit=LEVELS),
        "ringing": Limit("the ringing in flat places", 1.4, unit=LEVELS),
        "overshoot": Limit("the overshoot beside edges", 14, unit=LEVELS),
        "strokes_changed": Limit("the change of the strokes of text", 0.3),
        "face_changed": Limit("the change of the features of a face", 0.03),
    },
    Category.MOTION_BLUR: PARTS
    | {
        "texture_lost": Limit("the share of texture that is lost", 0.3),
        "ringing": Limit("the ringing in flat places", 4, unit=LEVELS),
        "overshoot": Limit("the overshoot beside edges", 14, unit=LEVELS),
        "face_changed": Limit("the change of the features of a face", 0.15),
    },
    Category.REFLECTION: {
        "block_shift": BLOCK_SHIFT,
        "ringing": Limit("the ringing in flat places", 5, unit=LEVELS),
    },
}
"""Figures of blocks: where one is beyond its limit, the change is not kept."""

INVENTED = ("ringing", "overshoot", "unexplained", "seam")
"""Figures without a limit for a generative result, which may add detail."""

FLAT_SURROUNDINGS = {
    Category.SUPER_RESOLUTION: 21,
    Category.MOTION_BLUR: 41,
    Category.REFLECTION: 41,
}
"""Side in pixels of a square that must be flat: a movement blurs what is around it."""
OVERSHOOT_REACH = {Category.SUPER_RESOLUTION: 5, Category.MOTION_BLUR: 16}
"""Pixels within which a value must have been in the photo."""
