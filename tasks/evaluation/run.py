"""Put labelled photos through an engine as a worker would, and compare with the truth."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from storage import photos
from storage.kinds import Category, Decision
from storage.photos import Image, Limits
from tasks import guard
from tasks.chains import Chain
from tasks.classifiers import Classifier, Verdict
from tasks.evaluation import metrics
from tasks.evaluation.manifest import BadManifest, Row
from tasks.receipt import Receipt


@dataclass(frozen=True)
class Engine:
    """What classifies and mends."""

    classifier: Classifier
    chain: Callable[[Category], Chain]


@dataclass(frozen=True)
class Likeness:
    """How like its truth an image is."""

    psnr: float
    ssim: float
    fsim: float


@dataclass(frozen=True)
class Evaluated:
    """What became of one photo."""

    row: Row
    verdict: Verdict
    decision: Decision
    reason: str
    before: Likeness | None
    """None where there is no truth."""
    after: Likeness | None
    """Of what is kept, which is the photo itself unless it was restored."""
    seconds: float
    megapixels: float


@dataclass(frozen=True)
class Views:
    """The images of one photo, all of one size."""

    before: Image
    after: Image
    truth: Image | None


def evaluate(row: Row, engine: Engine, limits: Limits) -> tuple[Evaluated, Views]:
    """Classify, mend and judge the photo of a row.

    Raises:
        UnreadablePhoto, TooLarge, OSError: the photo or its truth cannot be read.
        BadManifest: its truth has another shape.

    """
    photo = photos.read(row.path, limits)
    begun = time.perf_counter()
    verdict = engine.classifier(photo.image, jpeg_quality=photo.jpeg_quality)
    decision, reason, after = _mended(photo.image, verdict, engine)
    seconds = time.perf_counter() - begun
    truth = photos.read(row.truth, limits).image if row.truth else None
    views = _of_one_size(row, photo.image, after, truth)
    height, width = photo.image.shape[:2]
    evaluated = Evaluated(
        row, verdict, decision, reason, _likeness(views.before, truth),
        _likeness(views.after, truth), seconds, height * width / 1e6,
    )  # fmt: skip
    return evaluated, views


def _mended(image: Image, verdict: Verdict, engine: Engine) -> tuple[Decision, str, Image]:
    if not verdict.confident:
        return Decision.UNSURE, f"perhaps {verdict.category}", image
    if verdict.category is Category.CLEAN:
        return Decision.CLEAN, "", image
    mended = engine.chain(verdict.category)(image, verdict, Receipt())
    judgement = guard.judge(image, mended, verdict, engine.classifier)
    if not judgement.kept:
        return Decision.KEPT_ORIGINAL, judgement.reason, image
    return Decision.RESTORED, judgement.reason, mended


def _of_one_size(row: Row, before: Image, after: Image, truth: Image | None) -> Views:
    """Bring a photo to the size of its truth, if that is a whole number of times larger."""
    if truth is None:
        return Views(before, after, None)
    (height, width), (true_height, true_width) = before.shape[:2], truth.shape[:2]
    scale = round(true_height / height)
    if scale < 1 or (height * scale, width * scale) != (true_height, true_width):
        raise BadManifest(
            f"line {row.line}: {row.truth} has {true_width} x {true_height} pixels, which is no "
            f"whole number of times the {width} x {height} of {row.path}"
        )
    return Views(_enlarged(before, truth), _enlarged(after, truth), truth)


def _enlarged(image: Image, truth: Image) -> Image:
    if image.shape == truth.shape:
        return image
    size = truth.shape[1::-1]
    return np.clip(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), 0, 1)


def _likeness(image: Image, truth: Image | None) -> Likeness | None:
    if truth is None:
        return None
    rounded = (np.rint(image * 255) / 255).astype(np.float32)  # as its file would hold it
    return Likeness(
        metrics.psnr(rounded, truth), metrics.ssim(rounded, truth), metrics.fsim(rounded, truth)
    )
