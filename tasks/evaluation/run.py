"""Mend labelled photos with an engine, as a worker does, and compare them with the ground truth."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np

from storage import coded_photos, jail, photos
from storage.enums import Baseline, Decision
from storage.formats.safe_open import Limits
from storage.photos import Image, Photo
from tasks.evaluation import baselines, metrics
from tasks.evaluation.manifest import BadManifest, Row
from tasks.imaging.visibility import VISIBLE
from tasks.mend import UNSEEN, Engine, mend
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
    camera: str = ""
    """The camera of the manifest, or else of the photo's EXIF; empty if neither names it."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """Measurements of the guard, and `visible_change` of a result that it accepted."""
    failed: str | None = None
    """The guard's figure that refused the result."""
    baseline: Likeness | None = None
    """Of the photo as the baseline restores it; None without one."""

    @property
    def restored(self) -> bool:
        """Whether a restored copy is kept."""
        return self.decision is Decision.RESTORED

    @property
    def unseen(self) -> bool:
        """Whether no copy is kept because nobody would see the change."""
        return self.reason == UNSEEN

    @property
    def visible(self) -> bool:
        """Whether a person sees the change of the kept copy; that of an enlarged one always."""
        return self.restored and self.figures.get("visible_change", VISIBLE) >= VISIBLE

    @property
    def gain(self) -> float | None:
        """The gain of PSNR in dB, 0 if the photo is unchanged; None without a ground truth."""
        return self.after.psnr - self.before.psnr if self.before and self.after else None


@dataclass(frozen=True)
class Views:
    """The images of one photo, all of one size."""

    before: Image
    after: Image
    truth: Image | None
    """None if there is none, or if it is the photo itself."""
    changed: bool


def evaluate(
    row: Row, engine: Engine, limits: Limits, baseline: Baseline = Baseline.NONE
) -> tuple[Evaluated, Views]:
    """Mend the photo of a row and compare it with its ground truth.

    The baseline restores the photo too, unless the photo is its own truth.

    Raises:
        UnreadablePhoto, TooLarge, OSError: the photo or its truth cannot be read.
        BadManifest: its truth has another shape.

    """
    photo = photos.read(row.path.resolve(), limits)
    begun = time.perf_counter()
    mended = mend(photo.image, engine, jpeg_quality=photo.jpeg_quality, wraps=photo.wraps)
    seconds = time.perf_counter() - begun
    truth = photos.read(row.truth.resolve(), limits).image if row.truth else None
    before, after = _of_one_size(row, photo.image, mended.image, truth)
    height, width = photo.image.shape[:2]
    old = likeness(before, truth)
    new = old if mended.image is photo.image else likeness(after, truth)
    peer = _peer(photo.image, truth, baseline) if row.has_other_truth else None
    evaluated = Evaluated(
        row, mended.verdict, mended.decision, mended.reason, old, new, seconds,
        height * width / 1e6, row.camera or camera(photo), mended.figures, mended.failed, peer,
    )  # fmt: skip
    changed = mended.image is not photo.image
    return evaluated, Views(before, after, truth if row.has_other_truth else None, changed)


def camera(photo: Photo) -> str:
    """Return maker and model of the camera that a photo's EXIF names, or nothing."""
    return jail.run(coded_photos.camera, photo.metadata)


def _peer(image: Image, truth: Image | None, baseline: Baseline) -> Likeness | None:
    """Return the likeness of an image that the baseline restored."""
    restored = baselines.denoised(image, baseline)
    if restored is None or truth is None:
        return None
    return likeness(of_size(restored, truth), truth)


def _of_one_size(row: Row, before: Image, after: Image, truth: Image | None) -> tuple[Image, Image]:
    """Resize a photo and its result to the ground truth, if that is a whole number of times larger.

    Without one, the result gets the photo's size.
    """
    if truth is None:
        return before, of_size(after, before)
    (height, width), (true_height, true_width) = before.shape[:2], truth.shape[:2]
    scale = round(true_height / height)
    if scale < 1 or (height * scale, width * scale) != (true_height, true_width):
        raise BadManifest(
            f"line {row.line}: {row.truth} has {true_width} x {true_height} pixels, which is no "
            f"whole number of times the {width} x {height} of {row.path}"
        )
    return of_size(before, truth), of_size(after, truth)


def of_size(image: Image, other: Image) -> Image:
    """Return an image resized to another's size."""
    if image.shape == other.shape:
        return image
    larger = image.shape[0] > other.shape[0]
    way = cv2.INTER_AREA if larger else cv2.INTER_CUBIC
    return np.clip(cv2.resize(image, other.shape[1::-1], interpolation=way), 0, 1)


def likeness(image: Image, truth: Image | None) -> Likeness | None:
    """Return how like its ground truth an image is, of the same size; None without a truth."""
    if truth is None:
        return None
    rounded = (np.rint(image * 255) / 255).astype(np.float32)  # as its file would hold it
    return Likeness(
        metrics.psnr(rounded, truth), metrics.ssim(rounded, truth), metrics.fsim(rounded, truth)
    )
