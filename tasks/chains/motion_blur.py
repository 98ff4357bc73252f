"""Category C, figure 4 of the paper: deblur the whole image, then restore its faces."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from storage.photos import Image
from tasks.chains import Restorer
from tasks.receipt import Receipt
from tasks.verdict import Verdict


@dataclass(frozen=True)
class MotionBlur:
    """Deblurs the image, then restores faces."""

    deblur: Restorer
    mend_faces: Callable[[Image], tuple[Image, int, Sequence[str]]] | None = None
    """Image → image, the number of restored faces, and why others were refused; None: no face may change."""
    nets: str = ""
    """Networks and weights of `deblur`, for the receipt."""
    face_nets: str = ""
    """Networks and weights of `mend_faces`, for the receipt."""
    scale: int = 1

    def __call__(self, image: Image, verdict: Verdict, receipt: Receipt) -> Image:
        """Restore an image as far as `verdict` asks for, and note each step in `receipt`."""
        with receipt.step("deblur", nets=self.nets):
            image = self.deblur(image, verdict)
        if self.mend_faces is None:
            return image
        with receipt.step("restore faces", nets=self.face_nets) as facts:
            image, restored, refused = self.mend_faces(image)
            facts |= {"found": restored + len(refused), "restored": restored}
            facts["refused"] = dict(Counter(refused))
        receipt.generative |= restored > 0
        return image
