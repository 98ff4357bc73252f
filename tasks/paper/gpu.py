"""Decide from torch's errors whether the GPU is lost or busy, or an image is too large for it.

`errors` is the one place where torch's errors become those that the retry policy knows.
"""

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from storage.errors import GpuBusy, GpuLost

log = logging.getLogger(__name__)
Made = TypeVar("Made")

MEMORY_SIGNS = (
    "out of memory", "_ALLOC_FAILED", "CUBLAS_STATUS_NOT_INITIALIZED", "can't allocate memory",
    "unable to find an engine to execute",
)  # fmt: skip
"""What torch, cuBLAS, cuDNN, cuFFT and the CPU's allocator say if memory is too small."""
LOST_SIGNS = (
    "CUDA error", "CUDA driver", "CUDA unknown error", "cudaGetDeviceCount", "No CUDA GPUs are available",
    "NVIDIA driver", "cuDNN error", "CUDNN_STATUS_", "CUBLAS_STATUS_", "CUFFT_", "CUSOLVER_STATUS_",
)  # fmt: skip
"""What they say if the GPU failed; after such an error every further call fails, too."""
OTHERS_BYTES = 2**30
"""GPU memory that this process's own context and a desktop may take beside torch's reserved memory."""


@contextmanager
def errors(*, loading: bool = False) -> Iterator[None]:
    """Raise errors of the device as the retry policy knows them; `loading`: networks are loaded.

    Raises:
        GpuLost: the GPU failed; this process cannot use it any more.
        GpuBusy: networks do not fit into memory, or other processes hold it.
        MemoryError: even the smallest tile does not fit, though no other process holds memory.

    """
    try:
        yield
    except (GpuLost, GpuBusy):
        raise
    except Exception as error:
        known = _known(error, loading=loading)
        if known is None:
            raise
        raise known from error


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that the device's memory is too small."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in MEMORY_SIGNS)


def is_lost(error: BaseException) -> bool:
    """Return whether an error says that the GPU failed."""
    if is_out_of_memory(error) or not isinstance(error, RuntimeError):
        return False
    return isinstance(error, torch.AcceleratorError) or any(s in str(error) for s in LOST_SIGNS)


def halving(run: Callable[[int], Made], size: int, least: int, what: str) -> Made:
    """Return `run(size)`; while memory is too small for that, halve the size, down to `least`.

    Raises:
        torch.OutOfMemoryError, RuntimeError: not even the smallest size fits.

    """
    while True:
        try:
            return run(size)
        except RuntimeError as error:
            if not is_out_of_memory(error) or size // 2 < least:
                raise
        size //= 2  # outside of the except clause, which keeps the tensors of the failed run
        free_cache()
        log.info("too little memory: %s is now %s", what, size)


def free_cache() -> None:
    """Return memory that no tensor uses to the device."""
    gc.collect()
    torch.cuda.empty_cache()


def free_bytes(device: torch.device | None = None) -> int:
    """Return the free memory of a GPU, which torch's cache does not count against."""
    free_cache()
    return torch.cuda.mem_get_info(device)[0]


def others_hold_memory() -> bool:
    """Return whether other programs hold more of the GPU's memory than a desktop does."""
    return _held_by_others() > OTHERS_BYTES


def empty_bytes(device: torch.device | None = None) -> int:
    """Return the memory of a GPU that is free beside a desktop if no other program computes on it."""
    return torch.cuda.mem_get_info(device)[1] - OTHERS_BYTES


def _known(error: BaseException, *, loading: bool) -> Exception | None:
    """Return what an error, or one that it came from, says about the device; None if nothing."""
    cause: BaseException | None = error
    while cause is not None:
        if is_lost(cause):
            return GpuLost(f"the GPU is lost: {_first_line(cause)}")
        if is_out_of_memory(cause):
            return _of_memory(loading=loading)
        cause = cause.__cause__
    return None


def _of_memory(*, loading: bool) -> Exception:
    if loading:
        return GpuBusy("too little memory is free to load the networks")
    if others_hold_memory():
        gib = _held_by_others() / 2**30
        return GpuBusy(f"other programs hold {gib:.1f} GiB of the GPU's memory")
    return MemoryError("even the smallest tile does not fit into memory")


def _held_by_others() -> int:
    """Return the bytes of GPU memory that this process did not reserve; 0 without a GPU."""
    try:
        free, total = torch.cuda.mem_get_info()
        return total - free - torch.cuda.memory_reserved()
    except (AssertionError, RuntimeError):  # torch without CUDA; no GPU
        return 0


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
