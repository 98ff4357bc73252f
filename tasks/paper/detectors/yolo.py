"""Find regions of an image with a YOLO that the owner has, through ultralytics (AGPL-3.0).

Left alone, ultralytics asks two servers whether there is a network, counts its use at Google, lays
its settings into the home folder, fetches and installs what it misses, reports to any tracker that
it finds, and changes how many threads the process has. Here it does none of that.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pictures

from storage.errors import WeightsMissing, WeightsWrong
from storage.photos import Image
from storage.settings import settings
from tasks.imaging.tiles import shrunk

BoolMask = NDArray[np.bool_]
"""(H, W), where something is."""

MAX_SIDE = 1280
"""Pixels of the longer side of the copy that is looked at: a YOLO shrinks it further, to the size
that it was fitted on, but draws its masks over all of what it is given."""
MIN_SCORE = 0.25
"""Of a region, in [0, 1]: ultralytics' own default."""
REPLACED_FUNCTIONS = (
    (torch, "save"), (Pictures, "open"), (cv2, "imread"), (cv2, "imwrite"), (cv2, "imshow"),
)  # fmt: skip
TRACKERS = ("clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb")


@dataclass(frozen=True)
class Region:
    """A part of an image that a YOLO knows."""

    place: tuple[slice, slice]
    """The rows and columns of its box."""
    pixels: BoolMask | None
    """Its pixels in the box; None from a net that only gives boxes."""


def load(
    file: Path, classes: Sequence[str], device: torch.device
) -> Callable[[Image], Sequence[Region]]:
    """Load a YOLO for detection or segmentation; gives what finds the regions of these classes.

    It is opened as tensors and known layers only, so that nothing in the file is run.

    Raises:
        WeightsMissing: it is not there.
        WeightsWrong: it holds nothing that ultralytics knows, or none of the classes.

    """
    if not file.is_file():
        raise WeightsMissing(f"{file} is not there; it is named in the settings")
    if file.suffix != ".pt":
        raise WeightsWrong(f"{file} is not opened: a YOLO comes as .pt")
    try:
        net = library().YOLO(str(file.absolute()))
    except TypeError as error:
        raise WeightsWrong(f"{file} is no YOLO of ultralytics: {error}") from error
    numbers = [number for number, name in net.names.items() if name in classes]
    if not numbers:
        known, asked = (", ".join(sorted(names)) for names in (net.names.values(), classes))
        raise WeightsWrong(f"{file} knows {known}, and none of {asked}")

    def find(image: Image) -> list[Region]:
        small = shrunk(image, MAX_SIDE)
        blue_first = np.rint(np.clip(small[..., ::-1], 0, 1) * 255).astype(np.uint8)
        with preserved_globals():
            [found] = net.predict(
                blue_first, conf=MIN_SCORE, classes=numbers, device=device, retina_masks=True,
                verbose=False,
            )  # fmt: skip
        return _regions(found, image.shape[:2])

    return find


@cache
def library() -> Any:  # ultralytics is typed only in parts
    """Import ultralytics so that it asks nobody, tells nobody, and writes to the state folder only."""
    os.environ |= {
        "YOLO_CONFIG_DIR": str(settings().state_dir / "ultralytics"), "YOLO_VERBOSE": "false",
        "ULTRALYTICS_SAFE_LOAD": "true",
    }  # fmt: skip
    with preserved_globals():
        import ultralytics
        from ultralytics.data import utils
        from ultralytics.engine import trainer

        ultralytics.settings.update(dict.fromkeys(("sync", *TRACKERS), False))
        # Both would fetch a file from GitHub, offline or not: a font for plots, and a net on which
        # it is tried whether this GPU knows half precision.
        utils.check_font = trainer.check_amp = lambda _: True
    return ultralytics


@contextmanager
def preserved_globals() -> Iterator[None]:
    """Keep what ultralytics changes for the whole process: threads, printing, and others' functions.

    In Pillow's place it opens images itself, and installs a package for those that it cannot.
    """
    opencv, torchs = cv2.getNumThreads(), torch.get_num_threads()
    replaced = [(module, name, getattr(module, name)) for module, name in REPLACED_FUNCTIONS]
    for_children = os.environ.get("OMP_NUM_THREADS")
    try:
        with np.printoptions():
            yield
    finally:
        cv2.setNumThreads(opencv)
        torch.set_num_threads(torchs)
        for module, name, own in replaced:
            setattr(module, name, own)
        if for_children is None:
            os.environ.pop("OMP_NUM_THREADS", None)


def _regions(found: Any, size: tuple[int, int]) -> list[Region]:
    """Give what ultralytics found on a copy as regions of the image, whose height and width are `size`."""
    boxes = found.boxes.xyxy.cpu().numpy()
    drawn = len(boxes) * [None] if found.masks is None else found.masks.data
    regions = (
        _region(box, mask, found.orig_shape, size) for box, mask in zip(boxes, drawn, strict=True)
    )
    return [region for region in regions if region is not None]


def _region(
    box: NDArray[np.float32], mask: Any, copy: tuple[int, int], size: tuple[int, int]
) -> Region | None:
    """Enlarge what lies at a box of the copy; None if there is nothing in it."""
    left, top = (max(0, int(side)) for side in box[:2])
    right, bottom = (int(np.ceil(side)) for side in box[2:])
    rows = slice(top * size[0] // copy[0], min(bottom, copy[0]) * size[0] // copy[0])
    columns = slice(left * size[1] // copy[1], min(right, copy[1]) * size[1] // copy[1])
    height, width = rows.stop - rows.start, columns.stop - columns.start
    if height <= 0 or width <= 0:
        return None
    if mask is None:
        return Region((rows, columns), None)
    drawn = mask[top:bottom, left:right].float().cpu().numpy()
    return Region((rows, columns), cv2.resize(drawn, (width, height)) >= 0.5)
