"""Fit a YOLO to strong reflections by ultralytics; the fitted weights are under the AGPL-3.0."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pictures
from torch import Tensor

from storage.errors import WeightsMissing
from tasks.paper.detectors import yolo
from tasks.training.data.photo_pool import Pool
from tasks.training.objectives import SEED
from tasks.training.reflection_detector import strong_reflections

NAME = "reflection"
"""The detector's class, as the settings name it."""
TOLERANCE = 1.0
"""Largest distance in pixels between a polygon and the outline of its reflection."""
MIN_AREA = 20
"""Smallest area in pixels of a reflection that is labelled."""
MIN_HELD_OUT = 8
"""Fewest held-out images."""
LOADER_PROCESSES = 8
"""Processes that read images for a GPU."""


def fit(
    weights: str, data: Path, epochs: int, side: int, batch: int, device: torch.device,
    report: Callable[[str], None],
) -> Path:  # fmt: skip
    """Fit a YOLO to the images of `write_images`, in the folder `yolo`; return its file.

    `weights` is a file of weights or of an architecture, or the name of an architecture in
    ultralytics. A fit that was stopped continues.

    Raises:
        WeightsMissing: there is neither a file nor an architecture of this name.

    """
    folder = data.parents[1].absolute()
    last = folder / "yolo/weights/last.pt"

    def report_epoch(trainer: Any) -> None:
        figures = {name.partition("/")[2]: value for name, value in trainer.metrics.items()}
        report(
            f"epoch {trainer.epoch + 1} of {epochs}, mAP50 {figures.get('mAP50(B)', 0):.3f} of boxes"
        )

    with yolo.preserved_globals():
        net = _net(str(last) if last.is_file() else weights)
        net.add_callback("on_model_save", report_epoch)
        net.train(
            data=str(data), epochs=epochs, imgsz=side, batch=batch, device=device, seed=SEED,
            workers=0 if device.type == "cpu" else LOADER_PROCESSES, amp=device.type == "cuda",
            resume=last.is_file(), project=str(folder), name="yolo", exist_ok=True, plots=False,
            verbose=False,
        )  # fmt: skip
    return folder / "yolo/weights/best.pt"


def _net(weights: str) -> Any:
    file = Path(weights)
    if file.is_file():
        return yolo.library().YOLO(str(file.absolute()))
    try:
        if file.suffix:  # ultralytics would download it
            raise FileNotFoundError
        return yolo.library().YOLO(f"{weights}.yaml")
    except FileNotFoundError as error:
        raise WeightsMissing(
            f"{weights} is neither a file nor the name of an architecture in ultralytics"
        ) from error


def write_images(pool: Pool, folder: Path, count: int, side: int) -> Path:
    """Write `count` images and labels for ultralytics; return the file that names the folders.

    A line of a label is a class and a polygon, in shares of width and height. If the file exists,
    nothing is written.
    """
    data = folder / "data.yaml"
    if data.is_file():
        return data
    rng = torch.Generator().manual_seed(SEED)
    _write_part(pool.fitted, folder, "train", count, side, rng)
    _write_part(pool.held_out, folder, "val", max(MIN_HELD_OUT, count // 10), side, rng)
    place = json.dumps(str(folder.absolute()))
    data.write_text(f"path: {place}\ntrain: images/train\nval: images/val\nnames: [{NAME}]\n")
    return data


def _write_part(
    tiles: Tensor, folder: Path, part: str, count: int, side: int, rng: torch.Generator
) -> None:
    images, labels = (folder / kind / part for kind in ("images", "labels"))
    images.mkdir(parents=True, exist_ok=True)
    labels.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        scenes = strong_reflections.make(tiles, 1, side, rng)
        pixels = (255 * scenes.images[0].permute(1, 2, 0)).round().to(torch.uint8).numpy()
        Pictures.fromarray(pixels).save(images / f"{number:06}.png", compress_level=1)
        lines = [_line(outline) for outline in outlines(scenes.masks[0, 0].numpy())]
        (labels / f"{number:06}.txt").write_text("".join(lines))


def _line(outline: NDArray[np.float64]) -> str:
    return "0 " + " ".join(f"{share:.5f}" for share in outline.ravel()) + "\n"


def outlines(mask: NDArray[np.float32]) -> Iterator[NDArray[np.float64]]:
    """Yield the outlines in a mask (H, W), (N, 2): x and y as shares of its sides."""
    found, _ = cv2.findContours(
        (mask > 0.5).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    for outline in found:
        if cv2.contourArea(outline) >= MIN_AREA:
            corners = cv2.approxPolyDP(outline, TOLERANCE, True)[:, 0]
            yield (corners + 0.5) / np.array(mask.shape[::-1])
