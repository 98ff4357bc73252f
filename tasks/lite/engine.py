"""The chains of the lite engine, whose weights ship with the package.

Its classifier is `tasks.lite.classifier.Lite`.
"""

from dataclasses import replace
from typing import assert_never

from storage.enums import Category, Degradation
from storage.photos import Image
from tasks.chains import Chain
from tasks.chains.motion_blur import MotionBlur
from tasks.chains.reflection import Reflection, nothing_hidden, unpainted
from tasks.chains.super_resolution import SuperResolution
from tasks.imaging.text_detection import find_text
from tasks.lite.cleaning import clean
from tasks.lite.ghosts import remove_ghost
from tasks.lite.lift_veil import lift_veil
from tasks.lite.limits import MIN_SEVERITY_BESIDE
from tasks.lite.motion import undo_movement
from tasks.verdict import Verdict

TEXT_SHARE = 0.5
"""Share of the change that letters keep, so that their strokes stay."""


def lite_chain(category: Category) -> Chain:
    """Build the chain of a category.

    Nothing is inpainted, because this engine cannot detect where a reflection hides the scene.

    Raises:
        ValueError: the category is clean, which has no chain.

    """
    match category:
        case Category.SUPER_RESOLUTION:
            return SuperResolution(clean, find_text, TEXT_SHARE)
        case Category.REFLECTION:
            return Reflection(
                nothing_hidden, unpainted, _reduce_reflection, remove_blocks=_remove_blocks
            )
        case Category.MOTION_BLUR:
            return MotionBlur(undo_movement)
        case Category.CLEAN:
            raise ValueError("a clean photo has no chain")
        case _:
            assert_never(category)


def _reduce_reflection(image: Image, verdict: Verdict) -> Image:
    return lift_veil(remove_ghost(image, verdict), verdict)


def _remove_blocks(image: Image, verdict: Verdict) -> Image:
    """Remove visible blocks, and nothing else; return the same image if there are none."""
    kind = Degradation.COMPRESSION
    if verdict.severities[kind] < MIN_SEVERITY_BESIDE[kind]:
        return image
    return clean(image, replace(verdict, severities=dict.fromkeys(Degradation, 0.0) | {kind: 1.0}))
