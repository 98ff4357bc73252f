"""Run the nets of the lite engine: ONNX files of the package.

A restorer's file leaves the height and width of its tiles open. It is loaded for one size, because
onnxruntime computes a graph of known sizes faster, and only for one image: its memory is used again
for each tile, and freed in the end. To free it after each tile takes 14 % more time.

Restorers compute on a GPU that won the trial (`tasks/lite/gpu_trial.py`), and on the processor as soon as
the GPU fails. The other nets are small.
"""

import logging
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from storage.photos import Image
from tasks.lite import gpu_trial

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, RunOptions

log = logging.getLogger(__name__)

FOLDER = Path(__file__).parent / "weights"
CLASSIFIER_SIDE = 256
"""Side in pixels of the classifier's crops."""
HEIGHT, WIDTH = "height", "width"
"""Names of the sides of a tile that a file leaves open."""

Outputs = Sequence[NDArray[np.float32]]

_gpu = {"lost": False, "yielded": False}
"""Why this process computes no restorer on a GPU that won the trial."""


def weights_path(name: str) -> Path:
    """Return the path of a net's weights."""
    return FOLDER / f"{name}.onnx"


def run(name: str, tile: Image) -> Outputs:
    """Return the outputs of the classifier for a crop (CLASSIFIER_SIDE, CLASSIFIER_SIDE, 3), or of another net of one shape.

    The net stays loaded.
    """
    return _outputs(_session(name), tile, _options())


def load(name: str, size: tuple[int, int]) -> Callable[[Image], Outputs]:
    """Load a restorer for tiles of `size`, rows and columns that are multiples of 8.

    Returns a function from a tile (H, W, C), RGB and conditions, to the net's outputs, which may be
    called by several threads. The memory is freed with it.
    """
    loading = Lock()

    @cache
    def session(on_gpu: bool) -> "InferenceSession":
        return _loaded(name, size, on_gpu=on_gpu)

    def outputs(tile: Image) -> Outputs:
        if _uses_gpu():
            try:
                with loading:
                    there = session(True)
                return _outputs(there, tile)
            except Exception as error:  # noqa: BLE001  onnxruntime has no class for a GPU's errors
                _lose_gpu(error)
        with loading:
            here = session(False)
        return _outputs(here, tile)

    return outputs


def yield_gpu(to_others: bool) -> None:
    """Leave the GPU to other programs from the next tile on, or take it again."""
    _gpu["yielded"] = to_others


def _uses_gpu() -> bool:
    return not any(_gpu.values()) and gpu_trial.trial().is_won


def _lose_gpu(error: Exception) -> None:
    if not _gpu["lost"]:
        log.warning("lite goes on without the GPU: %s", str(error).partition("\n")[0])
    _gpu["lost"] = True


def _outputs(
    session: "InferenceSession", tile: Image, options: "RunOptions | None" = None
) -> Outputs:
    planes = np.ascontiguousarray(np.moveaxis(tile, -1, 0)[None], np.float32)
    outputs: Outputs = session.run(None, {"tile": planes}, options)
    return outputs


@cache
def _options() -> "RunOptions":
    """Build options that free memory after each run, because the net stays loaded."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


@cache
def _session(name: str) -> "InferenceSession":
    return _loaded(name)


def _loaded(
    name: str, size: tuple[int, int] | None = None, *, on_gpu: bool = False
) -> "InferenceSession":
    import onnxruntime

    if on_gpu:
        onnxruntime.preload_dlls()
    options = onnxruntime.SessionOptions()
    # One thread: two tiles at once take less time than one tile on two threads, which wait busily.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    for side, pixels in zip((HEIGHT, WIDTH), size or (), strict=False):
        options.add_free_dimension_override_by_name(side, pixels)
    provider = gpu_trial.CUDA if on_gpu else "CPUExecutionProvider"
    return onnxruntime.InferenceSession(weights_path(name), options, providers=[provider])
