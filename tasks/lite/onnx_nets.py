"""Run the nets of the lite engine: ONNX files of the package, each for tiles of one shape."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from storage.photos import Image

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, RunOptions

FOLDER = Path(__file__).parent / "weights"


def weights_path(name: str) -> Path:
    """Return the path of a net's weights."""
    return FOLDER / f"{name}.onnx"


def side(name: str) -> int:
    """Return the side of a net's input tiles in pixels."""
    return int(_session(name).get_inputs()[0].shape[2])


def run(name: str, tile: Image) -> Sequence[NDArray[np.float32]]:
    """Return a net's outputs for a tile (side, side, C): RGB and conditions, or veil figures."""
    planes = np.ascontiguousarray(np.moveaxis(tile, -1, 0)[None], np.float32)
    outputs: Sequence[NDArray[np.float32]] = _session(name).run(None, {"tile": planes}, _options())
    return outputs


@cache
def _options() -> "RunOptions":
    """Build options that free memory after each run: otherwise four restorers hold 250 MB."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


@cache
def _session(name: str) -> "InferenceSession":
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # One thread: two tiles at once take less time than one tile on two threads, which wait busily.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        weights_path(name), options, providers=["CPUExecutionProvider"]
    )
