"""The chains of the lite engine."""

from typing import assert_never

from storage.enums import Category
from tasks.chains import Chain, motion_blur, reflection, super_resolution


def load(category: Category) -> Chain:
    """Build the chain that mends a category.

    Raises:
        ValueError: a clean photo needs none.

    """
    match category:
        case Category.SUPER_RESOLUTION:
            return super_resolution.lite()
        case Category.REFLECTION:
            return reflection.lite()
        case Category.MOTION_BLUR:
            return motion_blur.lite()
        case Category.CLEAN:
            raise ValueError("a clean photo has no chain")
        case _:
            assert_never(category)
