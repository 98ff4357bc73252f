"""Make results whose truth is known, good ones and bad ones, to calibrate the guard.

Good ones are made by the lite chains. Bad ones are made on purpose: each by a fault that a restorer
may have.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as Pictures

from storage.enums import Category, Degradation
from storage.photos import Image
from tasks.imaging import degrade
from tasks.imaging.deconvolution import deconvolve
from tasks.imaging.kernels import ghost_kernel, streak
from tasks.imaging.light import coded, linear, luma
from tasks.imaging.tiles import with_low_frequencies_of
from tasks.lite.engine import lite_chain
from tasks.lite.motion import LOW_SIGMA, ROUNDS
from tasks.receipt import Receipt
from tasks.verdict import Verdict

SIDE = 512
"""Side in pixels of the middle of a photo that is read."""


@dataclass(frozen=True)
class Degraded:
    """A degraded photo, the category of its restoration, and the photo without degradation."""

    name: str
    category: Category
    kind: Degradation
    before: Image
    truth: Image
    length: float = 0.0
    """Of a straight movement, in pixels, or of a ghost to the right."""
    angle: float = 0.0


@dataclass(frozen=True)
class Case:
    """A result of a restoration."""

    name: str
    made_badly: bool
    category: Category
    before: Image
    after: Image
    truth: Image


def degraded(truth: Image, rng: np.random.Generator) -> Iterator[Degraded]:
    """Yield a good photo degraded in every way, moderately or strongly."""
    is_strong = bool(rng.integers(2))
    length, angle = float(rng.uniform(9, 22)), float(rng.uniform(0, 180))
    pane = np.rot90(truth, 2)
    veil = cv2.GaussianBlur(linear(np.ascontiguousarray(pane)), (0, 0), float(rng.uniform(2, 5)))
    cleaning, reflection = Category.SUPER_RESOLUTION, Category.REFLECTION
    for name, category, kind, before in (
        ("noise", cleaning, Degradation.NOISE, degrade.noisy(truth, 20 if is_strong else 7, rng)),
        ("blocks", cleaning, Degradation.COMPRESSION, degrade.compressed(truth, 15 if is_strong else 40)),
        ("soft", cleaning, Degradation.SOFTNESS, degrade.softened(truth, 2.2 if is_strong else 1.2)),
        ("moved", Category.MOTION_BLUR, Degradation.MOTION, degrade.moved(truth, length, angle)),
        ("ghost", reflection, Degradation.REFLECTION,
         degrade.ghosted(truth, (int(length), 4), 0.5)),
        ("veil", reflection, Degradation.REFLECTION, coded(linear(truth) + 0.4 * veil)),
    ):  # fmt: skip
        yield Degraded(name, category, kind, as_saved(before), truth, length, angle)


def real_noise(folder: Path, every: int) -> Iterator[Degraded]:
    """Yield every `every`th pair of a folder of photos `*_real.*` and `*_mean.*`."""
    for path in sorted(folder.glob("*_real.*"))[::every]:
        truth = read(path.with_name(path.name.replace("_real", "_mean")))
        yield Degraded(
            "real noise", Category.SUPER_RESOLUTION, Degradation.NOISE, read(path), truth
        )


def restored(photo: Degraded) -> Image:
    """Return what the lite chain makes of a degraded photo."""
    severities = {kind: float(kind is photo.kind) for kind in Degradation}
    scores = {each: float(each is photo.category) for each in Category}
    return lite_chain(photo.category)(photo.before, Verdict(scores, severities, True), Receipt())


def bad(
    photo: Degraded, good: Image, other: Degraded, others: Image, rng: np.random.Generator
) -> Iterator[tuple[str, Image]]:
    """Yield the names and results of all faults that fit the kind of photo.

    `good` is the good result; `other` and `others` are another photo of the kind and its result.
    """
    before = photo.before
    change = good - before
    yield "change doubled", before + 2 * change
    yield "change reversed", before - change
    yield "another's change", before + (others - other.before)
    yield "another's result", others
    yield "stripes", good + _stripes(good, rng)
    yield "seams", good + _seams(good, rng)
    yield "cast in shadows", good + _cast(good)
    yield "constant blocks", _constant_blocks(good, rng)
    for name, make in FAULTS.get(photo.name, {}).items():
        yield name, make(photo)


def _stripes(image: Image, rng: np.random.Generator) -> Image:
    """Return stripes of up to 8 of 255, 5 to 12 pixels apart, on half of the image."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    angle, period = rng.uniform(0, np.pi), rng.uniform(5, 12)
    wave = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period)
    half = x < image.shape[1] / 2
    return np.asarray((8 / 255 * wave * half)[..., None], np.float32)


def _seams(image: Image, rng: np.random.Generator) -> Image:
    """Return brightness that differs by up to 4 of 255 from tile to tile of 128 pixels."""
    tiles = rng.uniform(-4, 4, (-(-image.shape[0] // 128), -(-image.shape[1] // 128), 1)) / 255
    whole = tiles.repeat(128, axis=0).repeat(128, axis=1)
    return np.asarray(whole[: image.shape[0], : image.shape[1]], np.float32)


def _cast(image: Image) -> Image:
    """Return red light of 8 of 255 for the dark parts."""
    dark = np.clip(1 - luma(image) / 0.2, 0, 1)[..., None]
    return np.asarray(dark * np.array([8, -2, -4]) / 255, np.float32)


def _constant_blocks(image: Image, rng: np.random.Generator) -> Image:
    """Return an image with a quarter of its blocks of 64 pixels painted over."""
    painted = image.copy()
    for top in range(0, image.shape[0], 64):
        for left in range(0, image.shape[1], 64):
            if rng.random() < 0.25:
                block = painted[top : top + 64, left : left + 64]
                block[:] = block.mean((0, 1))
    return painted


def _deconvolved(photo: Degraded, length: float, angle: float) -> Image:
    sharp = deconvolve(photo.before, streak(length, angle), ROUNDS)
    return with_low_frequencies_of(photo.before, sharp, LOW_SIGMA)


def _other_side(photo: Degraded) -> Image:
    kernel = np.flip(ghost_kernel(int(photo.length), 4, 0.5))
    return deconvolve(photo.before, np.ascontiguousarray(kernel), ROUNDS)


def _bytes(image: Image) -> cv2.typing.MatLike:
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def _image(pixels: cv2.typing.MatLike) -> Image:
    return np.asarray(pixels, np.float32) / np.float32(255)


def _unsharp(image: Image, sigma: float, amount: float) -> Image:
    return image + np.float32(amount) * (image - cv2.GaussianBlur(image, (0, 0), sigma))


SMOOTHED: dict[str, Callable[[Degraded], Image]] = {
    "median": lambda photo: _image(cv2.medianBlur(_bytes(photo.before), 9)),
    "bilateral": lambda photo: np.asarray(
        cv2.bilateralFilter(photo.before, 11, 0.3, 6), np.float32
    ),
    "strong NLM": lambda photo: _image(
        cv2.fastNlMeansDenoisingColored(_bytes(photo.before), h=30, hColor=30)
    ),
    "blurred": lambda photo: np.asarray(cv2.GaussianBlur(photo.before, (0, 0), 2), np.float32),
}
FAULTS: dict[str, dict[str, Callable[[Degraded], Image]]] = {
    "noise": SMOOTHED,
    "real noise": SMOOTHED,
    "blocks": SMOOTHED,
    "soft": {
        "halos": lambda photo: _unsharp(photo.before, 3, 2),
        "fine halos": lambda photo: _unsharp(photo.before, 1.5, 3),
    },
    "moved": {
        "wrong angle": lambda photo: _deconvolved(photo, photo.length, photo.angle + 50),
        "wrong length": lambda photo: _deconvolved(photo, 1.8 * photo.length, photo.angle),
        "halos": lambda photo: _unsharp(photo.before, 3, 2),
    },
    "ghost": {"wrong side": _other_side},
}


def read(path: Path) -> Image:
    """Read the middle `SIDE` x `SIDE` pixels of a photo.

    Raises:
        SystemExit: the photo is smaller.

    """
    with Pictures.open(path) as picture:
        if min(picture.size) < SIDE:
            raise SystemExit(f"{path} is smaller than {SIDE} by {SIDE} pixels")
        pixels = np.asarray(picture.convert("RGB"), np.float32) / np.float32(255)
    top, left = ((side - SIDE) // 2 for side in pixels.shape[:2])
    return np.ascontiguousarray(pixels[top : top + SIDE, left : left + SIDE])


def as_saved(image: Image) -> Image:
    """Return an image in [0, 1] with the values that a file of 8 bits holds."""
    return (np.rint(np.clip(image, 0, 1) * 255) / 255).astype(np.float32)


def cases(photos: Sequence[Degraded], rng: np.random.Generator) -> Iterator[Case]:
    """Yield the good and the bad results of degraded photos of one kind.

    Raises:
        SystemExit: there is only one photo, so that none is another's.

    """
    if len(photos) < 2:
        raise SystemExit("at least two photos are needed")
    results = [restored(photo) for photo in photos]
    for number, (photo, good) in enumerate(zip(photos, results, strict=True)):
        other, others = photos[number - 1], results[number - 1]
        yield Case(photo.name, False, photo.category, photo.before, as_saved(good), photo.truth)
        for fault, after in bad(photo, good, other, others, rng):
            yield Case(
                f"{photo.name}: {fault}", True, photo.category, photo.before, as_saved(after),
                photo.truth,
            )  # fmt: skip
