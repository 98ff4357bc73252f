"""The restoration chains, one for each category of the paper: image → image."""

from typing import Protocol

from storage.photos import Image
from tasks.classifiers import Verdict
from tasks.receipt import Receipt


class Chain(Protocol):
    """The restorations of one category, in order, ready to run."""

    @property
    def generative(self) -> bool:
        """Whether a step may invent content (written into the copy's metadata)."""
        ...

    def __call__(self, image: Image, verdict: Verdict, receipt: Receipt) -> Image:
        """Restore an image as far as `verdict` asks for, and note each step in `receipt`.

        Takes and returns RGB in [0, 1], float32, shape (H, W, 3), any H and W. The result may
        have another size only where the owner asked for one.
        """
        ...
