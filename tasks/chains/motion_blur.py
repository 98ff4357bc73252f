"""Category C, figure 4 of the paper: the whole image is sharpened again."""

from dataclasses import dataclass

from storage.photos import Image
from tasks.classifiers import Verdict
from tasks.receipt import Receipt
from tasks.restorers import Restorer


@dataclass(frozen=True)
class MotionBlur:
    """Undoes the movement of the camera."""

    deblur: Restorer
    scale: int = 1

    def __call__(self, image: Image, verdict: Verdict, receipt: Receipt) -> Image:
        """Restore an image as far as `verdict` asks for, and note each step in `receipt`."""
        with receipt.step("deblur"):
            return self.deblur(image, verdict)


def lite() -> MotionBlur:
    """Build the chain from parts that need no weights."""
    from tasks.restorers.movement import undo_movement

    return MotionBlur(undo_movement)
