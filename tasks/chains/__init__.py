"""The two contracts of restoration: a restorer and a chain of them, each image → image."""

from typing import Protocol

from storage.photos import Image
from tasks.receipt import Receipt
from tasks.verdict import Verdict


class Restorer(Protocol):
    """One restoration, ready to run: image → image."""

    def __call__(self, image: Image, verdict: Verdict) -> Image:
        """Restore an image as far as `verdict` asks for.

        Takes and returns RGB in [0, 1], float32, shape (H, W, 3), any H and W, the same size.
        """
        ...


class Chain(Protocol):
    """The restorations of one category, in order, ready to run."""

    @property
    def scale(self) -> int:
        """Factor between the sides of the image and of the result; 1 unless the owner asked for more."""
        ...

    def __call__(self, image: Image, verdict: Verdict, receipt: Receipt) -> Image:
        """Restore an image as far as `verdict` asks for, and note each step in `receipt`.

        Takes RGB in [0, 1], float32, shape (H, W, 3), any H and W, and returns `scale` times that.
        """
        ...
