"""Category C, figure 4 of the paper: the whole image is sharpened again, then its faces."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from storage.photos import Image
from tasks.chains import Restorer
from tasks.receipt import Receipt
from tasks.verdict import Verdict


@dataclass(frozen=True)
class MotionBlur:
    """Undoes the movement of the camera, and gives faces back what it took from them."""

    deblur: Restorer
    mend_faces: Callable[[Image], tuple[Image, int, Sequence[str]]] | None = None
    """Image → image, how many faces were changed, and why others were not; None: none may be."""
    nets: str = ""
    """For the receipt: the networks and their weights; so is the next."""
    face_nets: str = ""
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
