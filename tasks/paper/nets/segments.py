"""Read a net's proposals, each a class and a mask, as the segments of an image."""

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor

LEAST_SCORE, LEAST_OVERLAP = 0.7, 0.8
"""Of a proposal's class, and of its mask that no other proposal covers (YOSO's configuration for COCO)."""


@dataclass(frozen=True)
class Segment:
    """A thing or a surface in a panoptic map."""

    number: int
    """Its pixels' value in the map."""
    category: int
    thing: bool
    """Whether it can be counted; all of a surface is one segment."""


def semantic(logits: Tensor, masks: Tensor) -> Tensor:
    """Give how much each class is at each pixel, (classes, H, W), of (N, classes + 1), (N, H, W)."""
    return torch.einsum("nc,nhw->chw", logits.softmax(-1)[:, :-1], masks.sigmoid())


def region_of(logits: Tensor, masks: Tensor, category: int, least_score: float) -> Tensor:
    """Give the pixels of one class, (H, W) bool: all proposals that are it with `least_score`.

    Takes (N, classes + 1) and (N, H, W). For a net that was fitted to one class, that is class 0.
    """
    scores = logits.softmax(-1)
    believed = (scores.argmax(-1) == category) & (scores[:, category] > least_score)
    return (masks[believed] > 0).any(0)


def panoptic(
    logits: Tensor,
    masks: Tensor,
    things: Collection[int],
    least_score: float = LEAST_SCORE,
    least_overlap: float = LEAST_OVERLAP,
) -> tuple[Tensor, list[Segment]]:
    """Give each pixel to one segment: their numbers (H, W), 0 for none, and what they are.

    Takes (N, classes + 1) and (N, H, W); `things` are the classes that can be counted. After
    Cheng et al., "Per-Pixel Classification is Not All You Need", NeurIPS 2021, section 3.4.
    """
    scores, categories = logits.softmax(-1).max(-1)
    kept = (categories < logits.shape[-1] - 1) & (scores > least_score)
    numbers = torch.zeros(masks.shape[-2:], dtype=torch.int32, device=masks.device)
    segments: list[Segment] = []
    if not kept.any():
        return numbers, segments
    drawn = masks[kept].sigmoid()
    owner = (scores[kept, None, None] * drawn).argmax(0)
    surfaces: dict[int, int] = {}
    for proposal, category in enumerate(categories[kept].tolist()):
        own, whole = owner == proposal, drawn[proposal] >= 0.5
        shown = own & whole
        if not shown.any() or own.sum() / whole.sum() < least_overlap:
            continue
        thing = category in things
        number = len(segments) + 1 if thing else surfaces.setdefault(category, len(segments) + 1)
        numbers[shown] = number
        if number > len(segments):
            segments.append(Segment(number, category, thing))
    return numbers, segments
