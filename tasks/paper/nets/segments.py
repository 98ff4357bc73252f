"""Combine a net's proposals, each a class and a mask, into a region of an image."""

from torch import Tensor


def region_of(logits: Tensor, masks: Tensor, category: int, min_score: float) -> Tensor:
    """Return the pixels of one class, (H, W) bool: all proposals of it above `min_score`.

    `logits` are (N, classes + 1), `masks` (N, H, W). A net with one class has class 0.
    """
    scores = logits.softmax(-1)
    chosen = (scores.argmax(-1) == category) & (scores[:, category] > min_score)
    return (masks[chosen] > 0).any(0)
