"""Find what a strong reflection hides: a YOLO's boxes, and a YOSO's pixels in them.

Section III-C of the paper: YOLO finds strong reflections, YOSO refines their mask at the level of
pixels and adds the smaller ones.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch

from storage.errors import WeightsWrong
from storage.photos import Image
from tasks.imaging.light import Plane
from tasks.imaging.masks import dilated, feathered
from tasks.paper.checkpoints import read_tensors
from tasks.paper.detectors.faces import Face
from tasks.paper.detectors.yolo import BoolMask, Region
from tasks.paper.nets import yoso
from tasks.paper.nets.segments import region_of
from tasks.paper.nets.yoso import YosoNet
from tasks.paper.tensors import tensor_of

log = logging.getLogger(__name__)

MAX_PAINTED = 0.25
"""Of the image. LaMa was fitted on holes of up to half of it, but what it paints is made up: who has
a quarter of a photo made up has another photo. Above it nothing is painted, and only the nets
against weak reflections work, which make nothing up."""
MIN_SEGMENTED = 0.05
"""Of a box, below which the load_segmenter counts as not having seen what is in it."""
MIN_SMALL, MAX_SMALL = 5e-5, 0.02
"""Of the image: a reflection that only the load_segmenter sees is between these, smaller is noise and a
larger one the detector would have seen."""
AROUND_FACE = 0.3
"""Of a face's box, for hair and chin on each side."""
MIN_SCORE = 0.5
"""Of a proposal of the load_segmenter, in [0, 1]: with one class it is that, or nothing."""


@dataclass(frozen=True)
class FindReflections:
    """A detector, a load_segmenter, or both, ready to run: image → mask, any H and W."""

    find_regions: Callable[[Image], Sequence[Region]] | None
    """None if there is no detector: then all is believed that the load_segmenter sees."""
    find_pixels: Callable[[Image], BoolMask] | None
    """None if there is no load_segmenter: then a detector that draws no pixels gives whole boxes."""
    protected: Sequence[Callable[[Image], Plane]] = ()
    """Each gives a mask (H, W) of what is never painted over, wherever it is above 0."""

    def __call__(self, image: Image) -> Plane:
        """Give a mask (H, W) in [0, 1], at least 0.5 where a reflection hides the scene."""
        nothing = np.zeros(image.shape[:2], np.float32)
        found = self._find(image)
        if not found.any():
            return nothing
        mask = feathered(dilated(found.astype(np.float32)))
        share = float((mask >= 0.5).mean())
        if share > MAX_PAINTED:
            log.info("reflections hide %.0f %% of a photo: none is painted over", 100 * share)
            return nothing
        for mask_of in self.protected:
            mask[mask_of(image) > 0] = 0
        return mask

    def _find(self, image: Image) -> BoolMask:
        pixels = None if self.find_pixels is None else self.find_pixels(image)
        if self.find_regions is not None:
            return refined(self.find_regions(image), pixels, image.shape[:2])
        return np.zeros(image.shape[:2], np.bool_) if pixels is None else pixels


def refined(regions: Sequence[Region], pixels: BoolMask | None, size: tuple[int, ...]) -> BoolMask:
    """Give regions the load_segmenter's pixels, and add small reflections that lie outside of them all.

    `pixels` and the result are (H, W), which is `size`; without pixels, regions keep their own.
    """
    found, outside = np.zeros(size, np.bool_), np.ones(size, np.bool_)
    for region in regions:
        found[region.place] |= _inside(region, found[region.place].shape, pixels)
        outside[region.place] = False
    return found if pixels is None else found | _small(pixels & outside)


def face_mask(find: Callable[[Image], Sequence[Face]], image: Image) -> Plane:
    """Give a mask of the faces in an image and what is around them, (H, W) of 0 and 1."""
    mask = np.zeros(image.shape[:2], np.float32)
    for face in find(image):
        left, top, right, bottom = face.box
        x, y = AROUND_FACE * (right - left), AROUND_FACE * (bottom - top)
        rows, columns = (
            slice(max(0, int(first)), max(0, int(last) + 1))
            for first, last in ((top - y, bottom + y), (left - x, right + x))
        )
        mask[rows, columns] = 1
    return mask


def load_segmenter(file: Path, device: torch.device) -> Callable[[Image], BoolMask]:
    """Load a YOSO whose only class, or whose first one, is a reflection.

    Raises:
        WeightsMissing: it is not there.
        WeightsWrong: it is no YOSO.

    """
    try:
        net = YosoNet.of(read_tensors(file)).to(device)
    except RuntimeError as error:
        raise WeightsWrong(f"{file} holds no YOSO: {error}") from error
    return partial(segment, net, device)


@torch.inference_mode()
def segment(net: YosoNet, device: torch.device, image: Image) -> BoolMask:
    """Give the pixels of reflections, (H, W), seen in the size that YOSO's authors mask_of images."""
    height, width = image.shape[:2]
    seen = yoso.input_size(height, width)
    smaller = seen[0] < height
    way = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    sized = np.asarray(cv2.resize(image, seen[::-1], interpolation=way), np.float32)
    logits, masks = net(tensor_of(sized, device))
    found = region_of(logits[0], yoso.unpadded(masks, seen)[0], 0, MIN_SCORE)
    drawn = cv2.resize(found.float().cpu().numpy(), (width, height))
    return np.asarray(drawn >= 0.5, np.bool_)


def _inside(region: Region, size: tuple[int, ...], pixels: BoolMask | None) -> BoolMask:
    """Give the pixels of a region in its box, whose height and width are `size`.

    What the load_segmenter sees there counts. If it sees nothing, the detector's own pixels do, but a
    mere box only if there is no load_segmenter that could object.
    """
    seen = None if pixels is None else pixels[region.place]
    if seen is not None and seen.mean() >= MIN_SEGMENTED:
        return seen
    if region.pixels is not None:
        return region.pixels
    return np.full(size, seen is None)


def _small(pixels: BoolMask) -> BoolMask:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(pixels.astype(np.uint8))
    areas = stats[:, cv2.CC_STAT_AREA] / pixels.size
    kept = (areas >= MIN_SMALL) & (areas <= MAX_SMALL)
    kept[0] = False  # what is no reflection
    return np.asarray(kept[labels], np.bool_)
