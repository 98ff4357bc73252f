"""The chains of the paper engine, built from the weights that the owner fetched."""

from typing import assert_never

from storage.enums import Category
from storage.settings import PaperSettings
from tasks.chains import Chain, motion_blur, reflection, super_resolution


def load(category: Category, known: PaperSettings, *, faces: bool = True) -> Chain:
    """Build the chain that mends a category; without `faces` it changes none.

    Raises:
        WeightsMissing, WeightsWrong: weights are not here, or not what they should be.
        ValueError: a clean photo needs none.

    """
    match category:
        case Category.SUPER_RESOLUTION:
            return super_resolution.paper(known)
        case Category.REFLECTION:
            return reflection.paper(known)
        case Category.MOTION_BLUR:
            return motion_blur.paper(known, faces=faces)
        case Category.CLEAN:
            raise ValueError("a clean photo has no chain")
        case _:
            assert_never(category)
