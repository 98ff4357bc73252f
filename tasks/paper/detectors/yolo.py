"""Find regions of an image with a YOLO of the owner's own, through ultralytics (AGPL-3.0).

By default, ultralytics contacts two servers to detect a network, reports its use to Google, writes its
settings to the home folder, downloads and installs missing packages, reports to installed trackers,
and changes the number of threads of the process. All of that is prevented here and by `storage.telemetry`.
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
from tasks.imaging.masks import BoolMask
from tasks.imaging.tiles import shrunk
from tasks.paper import archives

MAX_SIDE = 1280
"""Longer side in pixels of the copy that a YOLO gets. It shrinks the copy further, but returns masks of
the copy's size."""
MIN_SCORE = 0.25
"""Smallest score of a region, in [0, 1]: ultralytics' default."""
REPLACED_FUNCTIONS = (
    (torch, "save"), (Pictures, "open"), (cv2, "imread"), (cv2, "imwrite"), (cv2, "imshow"),
)  # fmt: skip
"""Functions that ultralytics replaces when it is imported."""
TRACKERS = ("clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb")


@dataclass(frozen=True)
class Region:
    """A part of an image that a YOLO found."""

    place: tuple[slice, slice]
    """Rows and columns of its box."""
    pixels: BoolMask | None
    """Its pixels in the box; None from a net that returns boxes only."""


def load(
    file: Path, classes: Sequence[str], device: torch.device
) -> Callable[[Image], Sequence[Region]]:
    """Load a YOLO for detection or segmentation, and return the function that finds these classes.

    Only tensors and known layers are read from the file, and no code in it is run.

    Raises:
        WeightsMissing: the file does not exist.
        WeightsWrong: the file holds no YOLO of ultralytics, or none of the classes.

    """
    if not file.is_file():
        raise WeightsMissing(f"{file} is not there; it is named in the settings")
    if file.suffix != ".pt":
        raise WeightsWrong(f"{file} is not opened: a YOLO comes as .pt")
    archives.check(file)
    try:
        net = library().YOLO(str(file.absolute()))
    except TypeError as error:
        raise WeightsWrong(f"{file} is no YOLO of ultralytics: {error}") from error
    numbers = [number for number, name in net.names.items() if name in classes]
    if not numbers:
        found, wanted = (", ".join(sorted(names)) for names in (net.names.values(), classes))
        raise WeightsWrong(f"{file} has the classes {found}, and none of {wanted}")

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
    """Import ultralytics so that it uses no network and writes to the state folder only.

    Raises:
        WeightsWrong: it would run code of the files that it opens.

    """
    os.environ |= {
        "YOLO_CONFIG_DIR": str(settings().state_dir / "ultralytics"), "YOLO_VERBOSE": "false",
        "ULTRALYTICS_SAFE_LOAD": "true",
    }  # fmt: skip
    with preserved_globals():
        import ultralytics
        from ultralytics.data import utils
        from ultralytics.engine import trainer
        from ultralytics.nn.tasks import _SafeLoad

        ultralytics.settings.update(dict.fromkeys(("sync", *TRACKERS), False))
        # Both download a file from GitHub, even offline: a font for plots, and a net to test half
        # precision on this GPU.
        utils.check_font = trainer.check_amp = lambda _: True
    if not _SafeLoad.restricted():  # its name for: only tensors and known layers are read
        raise WeightsWrong(
            "no YOLO is opened: ultralytics would run code of its file, because something imported it "
            "before photomend; start with ULTRALYTICS_SAFE_LOAD=true in the environment"
        )
    return ultralytics


@contextmanager
def preserved_globals() -> Iterator[None]:
    """Restore what ultralytics changes in the process: threads, printing, and functions of libraries.

    Its replacement of Pillow's `open` installs packages for unknown formats.
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
    """Return what ultralytics found on a copy as regions of the image, whose shape is `size`."""
    boxes = found.boxes.xyxy.cpu().numpy()
    drawn = len(boxes) * [None] if found.masks is None else found.masks.data
    regions = (
        _region(box, mask, found.orig_shape, size) for box, mask in zip(boxes, drawn, strict=True)
    )
    return [region for region in regions if region is not None]


def _region(
    box: NDArray[np.float32], mask: Any, copy: tuple[int, int], size: tuple[int, int]
) -> Region | None:
    """Return the region of the image at a box of the copy; None if the box is empty."""
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
