"""The restorers, each ready to run: image → image."""

from typing import Protocol

from storage.photos import Image
from tasks.verdict import Verdict


class Restorer(Protocol):
    """One way to mend an image, ready to run."""

    def __call__(self, image: Image, verdict: Verdict) -> Image:
        """Mend an image as far as `verdict` asks for.

        Takes and returns RGB in [0, 1], float32, shape (H, W, 3), any H and W, the same size.
        """
        ...
