"""Read a net's proposals, each a class and a mask, as a region of an image."""

from torch import Tensor


def region_of(logits: Tensor, masks: Tensor, category: int, min_score: float) -> Tensor:
    """Give the pixels of one class, (H, W) bool: all proposals that are it with `min_score`.

    Takes (N, classes + 1) and (N, H, W). For a net that was fitted to one class, that is class 0.
    """
    scores = logits.softmax(-1)
    chosen = (scores.argmax(-1) == category) & (scores[:, category] > min_score)
    return (masks[chosen] > 0).any(0)
