"""The nets of the lite engine as the package ships them: ONNX files, each for tiles of one shape."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from storage.photos import Image

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, RunOptions

THREADS = 2
FOLDER = Path(__file__).parent / "weights"


def weights_path(name: str) -> Path:
    """Return where the weights of a net lie."""
    return FOLDER / f"{name}.onnx"


def side(name: str) -> int:
    """Return the side of a net's tiles in pixels."""
    return int(_session(name).get_inputs()[0].shape[2])


def run(name: str, tile: Image) -> Sequence[NDArray[np.float32]]:
    """Give what a net makes of a tile, (side, side, 3), RGB in [0, 1]."""
    planes = np.ascontiguousarray(np.moveaxis(tile, -1, 0)[None], np.float32)
    outputs: Sequence[NDArray[np.float32]] = _session(name).run(None, {"tile": planes}, _options())
    return outputs


@cache
def _options() -> "RunOptions":
    """Give a tile's memory back after each run: kept, four restorers hold 250 MB, to gain a tenth."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


@cache
def _session(name: str) -> "InferenceSession":
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
    return onnxruntime.InferenceSession(
        weights_path(name), options, providers=["CPUExecutionProvider"]
    )
