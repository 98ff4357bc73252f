"""Mend labelled photos with an engine, as a worker does, and compare them with the ground truth."""

import time
from dataclasses import dataclass

import cv2
import numpy as np

from storage import photos
from storage.enums import Decision
from storage.formats.safe_open import Limits
from storage.photos import Image
from tasks.evaluation import metrics
from tasks.evaluation.manifest import BadManifest, Row
from tasks.mend import Engine, mend
from tasks.verdict import Verdict


@dataclass(frozen=True)
class Likeness:
    """Similarity of an image to its ground truth."""

    psnr: float
    ssim: float
    fsim: float


@dataclass(frozen=True)
class Evaluated:
    """The result of one photo."""

    row: Row
    verdict: Verdict
    decision: Decision
    reason: str | None
    before: Likeness | None
    """None if there is no ground truth."""
    after: Likeness | None
    """Of the kept image, which is the photo itself unless it was restored."""
    seconds: float
    megapixels: float


@dataclass(frozen=True)
class Views:
    """The images of one photo, all of one size."""

    before: Image
    after: Image
    truth: Image | None


def evaluate(row: Row, engine: Engine, limits: Limits) -> tuple[Evaluated, Views]:
    """Mend the photo of a row and compare it with its ground truth.

    Raises:
        UnreadablePhoto, TooLarge, OSError: the photo or its truth cannot be read.
        BadManifest: its truth has another shape.

    """
    photo = photos.read(row.path, limits)
    begun = time.perf_counter()
    mended = mend(photo.image, engine, jpeg_quality=photo.jpeg_quality)
    seconds = time.perf_counter() - begun
    truth = photos.read(row.truth, limits).image if row.truth else None
    views = _of_one_size(row, photo.image, mended.image, truth)
    height, width = photo.image.shape[:2]
    evaluated = Evaluated(
        row, mended.verdict, mended.decision, mended.reason, _likeness(views.before, truth),
        _likeness(views.after, truth), seconds, height * width / 1e6,
    )  # fmt: skip
    return evaluated, views


def _of_one_size(row: Row, before: Image, after: Image, truth: Image | None) -> Views:
    """Resize a photo to its ground truth, if that is a whole number of times larger."""
    if truth is None:
        return Views(before, of_size(after, before), None)
    (height, width), (true_height, true_width) = before.shape[:2], truth.shape[:2]
    scale = round(true_height / height)
    if scale < 1 or (height * scale, width * scale) != (true_height, true_width):
        raise BadManifest(
            f"line {row.line}: {row.truth} has {true_width} x {true_height} pixels, which is no "
            f"whole number of times the {width} x {height} of {row.path}"
        )
    return Views(of_size(before, truth), of_size(after, truth), truth)


def of_size(image: Image, other: Image) -> Image:
    """Return an image resized to another's size."""
    if image.shape == other.shape:
        return image
    larger = image.shape[0] > other.shape[0]
    way = cv2.INTER_AREA if larger else cv2.INTER_CUBIC
    return np.clip(cv2.resize(image, other.shape[1::-1], interpolation=way), 0, 1)


def _likeness(image: Image, truth: Image | None) -> Likeness | None:
    if truth is None:
        return None
    rounded = (np.rint(image * 255) / 255).astype(np.float32)  # as its file would hold it
    return Likeness(
        metrics.psnr(rounded, truth), metrics.ssim(rounded, truth), metrics.fsim(rounded, truth)
    )
