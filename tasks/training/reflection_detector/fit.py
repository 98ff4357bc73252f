"""Fit what finds strong reflections, a YOLO and a YOSO, for nobody has published either.

Both learn from clean photos in which `panes` lays reflections. A fit may be stopped at any moment and
goes on where it was; what it keeps on the way lies beside what it makes.
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
from tasks.paper.nets.yoso import Net
from tasks.paper.tensors import best_device
from tasks.training.data.degradations import MARGIN
from tasks.training.data.photo_pool import SUFFIXES, Pool, is_held_out
from tasks.training.reflection_detector import yolo as detector
from tasks.training.reflection_detector import yoso as segmenter

DETECTOR, SEGMENTER = "reflection-detector.pt", "reflection-segmenter.safetensors"
"""What a fit makes, for the settings of these names."""
MIN_SIDE = 400
"""Pixels of a photo's shorter side; one that had to be enlarged more is not sharp."""
MAX_PHOTOS = 2000
"""They are held in memory, 2 MB each."""
IMAGES_OF_PHOTO = 2
"""That are laid for the detector, which ultralytics varies further; the segmenter has new ones in
each step."""


class TooFewPhotos(PhotomendError):
    """Of a folder's photos too few are large enough, or none is left to try a fit on."""


@dataclass(frozen=True)
class Size:
    """How much is done in a fit, and to what."""

    steps: int
    """Batches that each net sees."""
    batch: int
    photo_side: int
    """Photos are squares of so many pixels."""
    crop_side: int
    """What the segmenter is fitted on; the detector sees all of a photo but `MARGIN`."""
    net: Net
    rate: float
    """AdamW's highest, for the segmenter."""
    detector: str
    """The architecture, if the user names none."""


FULL = Size(20_000, 16, 800, 448, Net(classes=1), 1e-4, "yolov9c-seg")
"""YOSO sees the shorter side of a photo in 800 pixels and was fitted with this rate (section 4.2). The paper cites YOLOv9: of those
that segment, this is ultralytics' smaller one."""
SMOKE = Size(80, 8, 192, 128, Net(16, 8, 32, 32, 16, 1), 1e-3, "yolov8n-seg")
"""Shows on a CPU in a minute or two that all parts work; what it makes is of no use."""


def fit(
    folder: Path, out: Path, size: Size, report: Callable[[str], None], *,
    yolo: str | None = None, yoso: Path | None = None,
) -> tuple[Path, Path]:  # fmt: skip
    """Fit both to the photos below a folder; return what the settings take.

    They begin from nothing, or from the weights in `yolo`, which may name an architecture, and `yoso`.

    Raises:
        TooFewPhotos: there are too few.
        WeightsMissing, WeightsWrong: there is nothing of this name to begin with, or it is no YOSO.

    """
    device = best_device()
    out.mkdir(parents=True, exist_ok=True)
    made = out / DETECTOR, out / SEGMENTER
    if all(file.is_file() for file in made):
        return made
    pool = photos(folder, size.photo_side)
    report(f"{len(pool.fitted)} photos to fit to, {len(pool.held_out)} held out, on {device}")
    if not made[1].is_file():
        work = segmenter.segmenter_objective(
            pool, size.crop_side, size.batch, size.net, size.rate, yoso, device
        )
        _write(
            segmenter.fit(
                work, size.steps, out / "yoso.pt", device, _prefixed("segmenter", report)
            ),
            made[1],
        )
    if not made[0].is_file():
        side, images_seen = size.photo_side - MARGIN, size.steps * size.batch
        images = min(IMAGES_OF_PHOTO * len(pool.fitted), images_seen)
        data = detector.write_images(pool, out / "images", images, side)
        fitted = detector.fit(
            yolo or size.detector, data, max(1, round(images_seen / images)), side, size.batch, device,
            _prefixed("detector", report),
        )  # fmt: skip
        atomic_files.sync(fitted)
        atomic_files.rename(fitted, made[0])
    return made


def photos(folder: Path, side: int) -> Pool:
    """Read the photos below a folder, upright, as squares of their middle of so many pixels.

    Raises:
        TooFewPhotos: none is large enough, or chance holds out all or none of them.

    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    parts: tuple[list[Tensor], list[Tensor]] = ([], [])
    for path in paths[:: max(1, -(-len(paths) // MAX_PHOTOS))]:
        if (square := _square(path, side)) is not None:
            parts[is_held_out(path)].append(square)
    if not all(parts):
        found = sum(map(len, parts))
        raise TooFewPhotos(
            f"{folder}: {found} of {len(paths)} photos can be used, and a tenth of them is held out: "
            "some dozens are needed"
        )
    return Pool(torch.stack(parts[0]), torch.stack(parts[1]))


def _square(path: Path, side: int) -> Tensor | None:
    """Read a photo as (3, side, side), uint8; None if it is too small or cannot be read."""
    try:
        with Pictures.open(path) as picture:
            if min(picture.size) < min(MIN_SIDE, side):
                return None
            picture.draft("RGB", (2 * side, 2 * side))  # a JPEG file is shrunk while it is read
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
