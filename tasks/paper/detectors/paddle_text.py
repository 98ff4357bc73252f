"""Find text with PaddleOCR, as the paper does, by the network that comes with rapidocr.

PaddleOCR downloads its networks unless it gets a folder with one.
"""

import importlib.metadata
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.installation import HEADLESS
from storage.photos import Image
from tasks.imaging.parallel import THREADS
from tasks.imaging.text_detection import MAX_SIDE, MIN_SCORE, Polygon, detect

NET_NAME = "PP-OCRv6_small_det"
NET_FILE = "PP-OCRv6_det_small.onnx"
"""File of the network among the models of rapidocr."""
MIN_SHORTER_SIDE = 736
"""Pixels to which the shorter side of the copy is enlarged for small letters, as in rapidocr."""
CACHE_VARIABLE = "PADDLE_PDX_CACHE_HOME"
NET_CONFIG = f"""
Global: {{model_name: {NET_NAME}}}
PreProcess:
  transform_ops:
  - DecodeImage: {{channel_first: false, img_mode: BGR}}
  - DetResizeForTest: {{resize_long: {MAX_SIDE}}}
  - NormalizeImage:
      {{scale: 1./255., mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], order: hwc}}
  - ToCHWImage: null
PostProcess:
  {{name: DBPostProcess, thresh: 0.3, box_thresh: {MIN_SCORE}, max_candidates: 1000, unclip_ratio: 1.5}}
"""
"""The settings of PaddleOCR's configs/det/PP-OCRv6/PP-OCRv6_small_det.yml."""


def find_polygons(image: Image) -> list[Polygon]:
    """Return a polygon around each line of text in an image, RGB in [0, 1], any H and W.

    The detector sees a copy whose longer side is at most `MAX_SIDE` pixels.
    """
    return detect(_detect_by_paddle, image)


def _detect_by_paddle(pixels: NDArray[np.uint8]) -> Iterable[NDArray[Any]]:
    shorter, longer = sorted(pixels.shape[:2])
    longest = min(MAX_SIDE, round(longer * max(1, MIN_SHORTER_SIDE / shorter)))
    (page,) = _detector().predict(pixels, limit_type="resize_long", limit_side_len=longest)
    polygons: Iterable[NDArray[Any]] = page["dt_polys"]
    return polygons


@cache
def _detector() -> Any:  # PaddleOCR is untyped
    with TemporaryDirectory(prefix="photomend-") as folder:
        os.environ.setdefault(CACHE_VARIABLE, folder)  # else the import makes a folder in the home
        with _headless_opencv():
            try:
                from paddleocr import TextDetection  # takes seconds
            finally:
                if os.environ[CACHE_VARIABLE] == folder:
                    del os.environ[CACHE_VARIABLE]
            _fill_net_folder(Path(folder))
            return TextDetection(
                model_name=NET_NAME,
                model_dir=folder,
                device="cpu",
                engine="onnxruntime",
                engine_config={"intra_op_num_threads": THREADS, "inter_op_num_threads": 1},
            )


@contextmanager
def _headless_opencv() -> Iterator[None]:
    """Make PaddleOCR accept the headless OpenCV.

    It checks whether `opencv-contrib-python` is installed, then imports `cv2`. The headless wheel
    has all that it uses.
    """
    version = importlib.metadata.version

    def version_of(distribution_name: str) -> str:
        is_opencv = distribution_name == "opencv-contrib-python"
        return version(HEADLESS if is_opencv else distribution_name)

    importlib.metadata.version = version_of
    try:
        yield
    finally:
        importlib.metadata.version = version


def _fill_net_folder(folder: Path) -> None:
    """Put the network and its settings into a folder, as PaddleOCR expects them."""
    rapidocr = find_spec("rapidocr")  # without importing it
    assert rapidocr is not None and rapidocr.origin is not None
    (folder / "inference.onnx").symlink_to(Path(rapidocr.origin).with_name("models") / NET_FILE)
    (folder / "inference.yml").write_text(NET_CONFIG)
