"""The chains of the lite engine, whose weights ship with the package.

Its classifier is `tasks.lite.classifier.Lite`.
"""

from typing import assert_never

from storage.enums import Category
from storage.photos import Image
from tasks.chains import Chain
from tasks.chains.motion_blur import MotionBlur
from tasks.chains.reflection import Reflection, nothing_hidden, unpainted
from tasks.chains.super_resolution import SuperResolution
from tasks.imaging.text_detection import find_text
from tasks.lite.cleaning import clean, clean_letters
from tasks.lite.ghosts import remove_ghost
from tasks.lite.lift_veil import lift_veil
from tasks.lite.motion import undo_movement
from tasks.verdict import Verdict


def lite_chain(category: Category) -> Chain:
    """Build the chain of a category.

    Nothing is inpainted, because this engine cannot detect where a reflection hides the scene.

    Raises:
        ValueError: the category is clean, which has no chain.

    """
    match category:
        case Category.SUPER_RESOLUTION:
            return SuperResolution(clean, find_text, clean_letters)
        case Category.REFLECTION:
            return Reflection(nothing_hidden, unpainted, _reduce_reflection)
        case Category.MOTION_BLUR:
            return MotionBlur(undo_movement)
        case Category.CLEAN:
            raise ValueError("a clean photo has no chain")
        case _:
            assert_never(category)


def _reduce_reflection(image: Image, verdict: Verdict) -> Image:
    return lift_veil(remove_ghost(image, verdict), verdict)
