"""Find strong reflections: a YOLO's boxes, and a YOSO's pixels in them.

Section III-C of the paper: YOLO finds strong reflections, YOSO refines their mask and adds smaller
ones.
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
from tasks.imaging.masks import BoolMask, dilated, feathered
from tasks.paper.checkpoints import read_tensors
from tasks.paper.detectors.faces import Face, around
from tasks.paper.detectors.yolo import Region
from tasks.paper.nets import yoso
from tasks.paper.nets.segments import region_of
from tasks.paper.nets.yoso import YosoNet
from tasks.paper.tensors import tensor_of

log = logging.getLogger(__name__)

MAX_PAINTED = 0.25
"""Largest share of an image that is painted over; above it, nothing is. Chosen by hand: LaMa was fitted on
holes of up to half of the image, but it invents their content."""
MIN_SEGMENTED = 0.05
"""Smallest share of a box that the segmenter must mark for its pixels to be used."""
MIN_SMALL, MAX_SMALL = 5e-5, 0.02
"""Smallest and largest share of the image of a reflection that only the segmenter finds: smaller ones are
noise, and the detector would have found larger ones."""
AROUND_FACE = 0.3
"""Margin for hair and chin on each side of a face, as a share of its box."""
MIN_SCORE = 0.5
"""Smallest score of a proposal of the segmenter, in [0, 1]."""


@dataclass(frozen=True)
class FindReflections:
    """A detector, a segmenter, or both, ready to run: image → mask, any H and W."""

    find_regions: Callable[[Image], Sequence[Region]] | None
    """None if there is no detector: then all pixels of the segmenter are used."""
    find_pixels: Callable[[Image], BoolMask] | None
    """None if there is no segmenter: then regions without pixels are whole boxes."""
    protected: Sequence[Callable[[Image], Plane]] = ()
    """Each returns a mask (H, W), above 0 on what is never painted over."""

    def __call__(self, image: Image) -> Plane:
        """Return a mask (H, W) in [0, 1], at least 0.5 where a reflection hides the scene."""
        nothing = np.zeros(image.shape[:2], np.float32)
        found = self._find(image)
        if not found.any():
            return nothing
        mask = feathered(dilated(found.astype(np.float32)))
        share = float((mask >= 0.5).mean())
        if share > MAX_PAINTED:
            log.info("reflections cover %.0f %% of a photo: none is painted over", 100 * share)
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
    """Return the pixels of regions, as the segmenter refines them, and its small reflections elsewhere.

    `pixels` and the result have the shape `size`, (H, W). Without `pixels`, regions keep their own.
    """
    found, outside = np.zeros(size, np.bool_), np.ones(size, np.bool_)
    for region in regions:
        found[region.place] |= _inside(region, found[region.place].shape, pixels)
        outside[region.place] = False
    return found if pixels is None else found | _small(pixels & outside)


def face_mask(find: Callable[[Image], Sequence[Face]], image: Image) -> Plane:
    """Return a mask of the faces in an image and their surroundings, (H, W) of 0 and 1."""
    mask = np.zeros(image.shape[:2], np.float32)
    for face in find(image):
        mask[around(face, AROUND_FACE, image.shape)] = 1
    return mask


def load_segmenter(file: Path, device: torch.device) -> Callable[[Image], BoolMask]:
    """Load a YOSO whose only or first class is a reflection.

    Raises:
        WeightsMissing: the file does not exist.
        WeightsWrong: the file holds no YOSO.

    """
    try:
        net = YosoNet.of(read_tensors(file)).to(device)
    except RuntimeError as error:
        raise WeightsWrong(f"{file} holds no YOSO: {error}") from error
    return partial(segment, net, device)


@torch.inference_mode()
def segment(net: YosoNet, device: torch.device, image: Image) -> BoolMask:
    """Return the pixels of reflections, (H, W), found at the input size of YOSO's authors."""
    height, width = image.shape[:2]
    size = yoso.input_size(height, width)
    smaller = size[0] < height
    interpolation = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    sized = np.asarray(cv2.resize(image, size[::-1], interpolation=interpolation), np.float32)
    logits, masks = net(tensor_of(sized, device))
    found = region_of(logits[0], yoso.unpadded(masks, size)[0], 0, MIN_SCORE)
    drawn = cv2.resize(found.float().cpu().numpy(), (width, height))
    return np.asarray(drawn >= 0.5, np.bool_)


def _inside(region: Region, size: tuple[int, ...], pixels: BoolMask | None) -> BoolMask:
    """Return the pixels of a region in its box, whose shape is `size`.

    They are the segmenter's, if it marks enough of the box, else the detector's. A detector without
    pixels gives the whole box without a segmenter, and nothing with one.
    """
    segmented = None if pixels is None else pixels[region.place]
    if segmented is not None and segmented.mean() >= MIN_SEGMENTED:
        return segmented
    if region.pixels is not None:
        return region.pixels
    return np.full(size, segmented is None)


def _small(pixels: BoolMask) -> BoolMask:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(pixels.astype(np.uint8))
    areas = stats[:, cv2.CC_STAT_AREA] / pixels.size
    kept = (areas >= MIN_SMALL) & (areas <= MAX_SMALL)
    kept[0] = False  # label 0 is the background
    return np.asarray(kept[labels], np.bool_)
