"""The two contracts of restoration: a restorer and a chain of them, each image → image."""

from typing import Protocol

from storage.photos import Image
from tasks.receipt import Receipt
from tasks.verdict import Verdict


class Restorer(Protocol):
    """One way to mend an image, ready to run."""

    def __call__(self, image: Image, verdict: Verdict) -> Image:
        """Mend an image as far as `verdict` asks for.

        Takes and returns RGB in [0, 1], float32, shape (H, W, 3), any H and W, the same size.
        """
        ...


class Chain(Protocol):
    """The restorations of one category, in order, ready to run."""

    @property
    def scale(self) -> int:
        """Times the image's size that the result has: 1 unless the owner asked for more."""
        ...

    def __call__(self, image: Image, verdict: Verdict, receipt: Receipt) -> Image:
        """Restore an image as far as `verdict` asks for, and note each step in `receipt`.

        Takes RGB in [0, 1], float32, shape (H, W, 3), any H and W, and returns `scale` times that.
        """
        ...
