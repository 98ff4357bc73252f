"""Find text with PaddleOCR, as the paper does, by the network that comes with rapidocr.

PaddleOCR looks for its networks on the internet, unless it is given a folder with one.
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
from tasks.imaging.text_detection import MAX_SIDE, MIN_SCORE, THREADS, Polygon, detect

NET_NAME = "PP-OCRv6_small_det"
NET_FILE = "PP-OCRv6_det_small.onnx"
"""Its name among the models of rapidocr."""
MIN_SHORTER_SIDE = 736
"""Pixels to which the shorter side of a copy is enlarged, as rapidocr does, for small letters."""
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
"""As PaddleOCR has them in configs/det/PP-OCRv6/PP-OCRv6_small_det.yml."""


def find_polygons(image: Image) -> list[Polygon]:
    """Give a polygon around each line of text in an image, RGB in [0, 1], any H and W.

    The detector looks at a copy of at most `MAX_SIDE` pixels a side, whatever the image's size.
    """
    return detect(_detect_by_paddle, image)


def _detect_by_paddle(pixels: NDArray[np.uint8]) -> Iterable[NDArray[Any]]:
    shorter, longer = sorted(pixels.shape[:2])
    longest = min(MAX_SIDE, round(longer * max(1, MIN_SHORTER_SIDE / shorter)))
    (page,) = _detector().predict(pixels, limit_type="resize_long", limit_side_len=longest)
    polygons: Iterable[NDArray[Any]] = page["dt_polys"]
    return polygons


@cache
def _detector() -> Any:  # PaddleOCR has no types for what it gives
    with TemporaryDirectory(prefix="photomend-") as folder:
        os.environ.setdefault(
            CACHE_VARIABLE, folder
        )  # else importing it makes a folder in the home
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
    """Let PaddleOCR use the headless OpenCV.

    It asks once whether `opencv-contrib-python` is installed and then imports `cv2`, of which it
    needs nothing that the headless wheel lacks.
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
    """Make a folder what PaddleOCR expects of one with a network."""
    rapidocr = find_spec("rapidocr")  # without importing it
    assert rapidocr is not None and rapidocr.origin is not None
    (folder / "inference.onnx").symlink_to(Path(rapidocr.origin).with_name("models") / NET_FILE)
    (folder / "inference.yml").write_text(NET_CONFIG)
