"""Fit the detectors of strong reflections, a YOLO and a YOSO; no weights of either are published.

Both are fitted to clean photos with reflections of `strong_reflections`. A fit that was stopped
continues; its intermediate files are in the output folder.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image as Pictures
from PIL import ImageOps
from torch import Tensor

from storage import atomic_files
from storage.errors import PhotomendError
from tasks.paper.nets.yoso import Sizes
from tasks.paper.tensors import best_device
from tasks.training.data.degradations import MARGIN
from tasks.training.data.photo_pool import SUFFIXES, Pool, is_held_out
from tasks.training.reflection_detector import yolo as detector
from tasks.training.reflection_detector import yoso as segmenter

DETECTOR, SEGMENTER = "reflection-detector.pt", "reflection-segmenter.safetensors"
"""The files of the fitted detectors."""
MIN_SIDE = 400
"""Smallest shorter side of a photo in pixels: enlarging a smaller one would blur it."""
MAX_PHOTOS = 2000
"""Most photos, which are held in memory, 2 MB each."""
IMAGES_OF_PHOTO = 2
"""Images that are made of each photo for the detector; the segmenter gets new ones in each step."""


class TooFewPhotos(PhotomendError):
    """The folder has too few photos that are large enough, or none to hold out; use more photos."""


@dataclass(frozen=True)
class Size:
    """The extent of a fit."""

    steps: int
    """Batches that each net is fitted to."""
    batch: int
    photo_side: int
    """Side in pixels of the squares that photos are cut to."""
    crop_side: int
    """Side in pixels of the segmenter's crops; the detector's images are `MARGIN` smaller than a
    photo."""
    net: Sizes
    rate: float
    """The segmenter's highest learning rate."""
    detector: str
    """The default architecture of the YOLO."""


FULL = Size(20_000, 16, 800, 448, Sizes(classes=1), 1e-4, "yolov9c-seg")
"""YOSO's side and learning rate (its section 4.2), and the smaller of ultralytics' YOLOv9 that
segment."""
SMOKE = Size(80, 8, 192, 128, Sizes(16, 8, 32, 32, 16, 1), 1e-3, "yolov8n-seg")
"""A test of all parts on a CPU in one or two minutes; its detectors are of no use."""


def fit(
    folder: Path, out: Path, size: Size, report: Callable[[str], None], *,
    yolo: str | None = None, yoso: Path | None = None,
) -> tuple[Path, Path]:  # fmt: skip
    """Fit both to the photos below a folder; return the files of the detector and the segmenter.

    They start with random weights, or with the weights of `yolo`, which may also name an
    architecture, and `yoso`. Files that exist in `out` are kept. `report` gets lines of progress.

    Raises:
        TooFewPhotos: there are too few photos.
        WeightsMissing, WeightsWrong: the initial weights do not exist, or are no YOSO's.

    """
    device = best_device()
    out.mkdir(parents=True, exist_ok=True)
    files = detector_file, segmenter_file = out / DETECTOR, out / SEGMENTER
    if all(file.is_file() for file in files):
        return files
    pool = photos(folder, size.photo_side)
    report(f"{len(pool.fitted)} photos to fit to, {len(pool.held_out)} held out, on {device}")
    if not segmenter_file.is_file():
        objective = segmenter.segmenter_objective(
            pool, size.crop_side, size.batch, size.net, size.rate, yoso, device
        )
        weights = segmenter.fit(
            objective, size.steps, out / "yoso.pt", device, _prefixed("segmenter", report)
        )
        _write(weights, segmenter_file)
    if not detector_file.is_file():
        side, images_seen = size.photo_side - MARGIN, size.steps * size.batch
        images = min(IMAGES_OF_PHOTO * len(pool.fitted), images_seen)
        data = detector.write_images(pool, out / "images", images, side)
        fitted = detector.fit(
            yolo or size.detector, data, max(1, round(images_seen / images)), side, size.batch,
            device, _prefixed("detector", report),
        )  # fmt: skip
        atomic_files.sync(fitted)
        atomic_files.rename(fitted, detector_file)
    return files


def photos(folder: Path, side: int) -> Pool:
    """Read the photos below a folder, upright, as squares of `side` pixels of their middle.

    Raises:
        TooFewPhotos: none is large enough, or all or none of them are held out.

    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    parts: tuple[list[Tensor], list[Tensor]] = ([], [])
    for path in paths[:: max(1, -(-len(paths) // MAX_PHOTOS))]:
        if (square := _square(path, side)) is not None:
            parts[is_held_out(path)].append(square)
    if not all(parts):
        found = sum(map(len, parts))
        raise TooFewPhotos(
            f"{folder}: {found} of {len(paths)} photos can be used, and a tenth of them is held out; "
            "use a folder with some dozens of photos"
        )
    return Pool(torch.stack(parts[0]), torch.stack(parts[1]))


def _square(path: Path, side: int) -> Tensor | None:
    """Read a photo as (3, side, side), uint8; None if it is too small or cannot be read."""
    try:
        with Pictures.open(path) as picture:
            if min(picture.size) < min(MIN_SIDE, side):
                return None
            picture.draft("RGB", (2 * side, 2 * side))  # JPEG files are shrunk while decoding
            upright = ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, SyntaxError, ValueError, Pictures.DecompressionBombError):
        return None
    square = ImageOps.fit(upright, (side, side), Pictures.Resampling.LANCZOS)
    return torch.from_numpy(np.array(square).transpose(2, 0, 1).copy())


def _prefixed(name: str, report: Callable[[str], None]) -> Callable[[str], None]:
    return lambda line: report(f"{name}: {line}")


def _write(weights: dict[str, Tensor], file: Path) -> None:
    from safetensors.torch import save_file

    with atomic_files.replacing(file) as temporary:
        save_file(weights, temporary)
