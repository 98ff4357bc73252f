"""Export a fitted net to the package's ONNX file: `python -m tasks.training.export noise`.

The file has one fixed tile shape. Weights are stored in half precision and cast to single precision
when the file is loaded, because all CPUs compute in single precision. The initialisers keep the
names of the state dict, so that a fit can start with the weights of a shipped file.
"""

import argparse
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import helper, numpy_helper
from torch import nn

from tasks.imaging.veil_figures import FIGURES, GRID
from tasks.lite.onnx_nets import weights_path
from tasks.training.data.degradations import Recipe
from tasks.training.nets.classifier import EvidenceNet
from tasks.training.nets.restorer import ResidualNet
from tasks.training.nets.veil import ReflectionNet
from tasks.training.objectives import CLASSIFIER, NAMES, REFLECTION

OPSET = 17
TILE, CROP = 512, 256
"""Side in pixels of a restorer's tiles, and of the classifier's crops."""
MAX_DIFFERENCE = 1e-2
"""Largest difference of an output between onnxruntime and torch, caused by the rounding of the
weights."""


def export(net: nn.Module, shape: tuple[int, int], facts: Mapping[str, str]) -> bytes:
    """Return a net as an ONNX file with `facts` as its metadata.

    `shape` is C and the side of the tiles (1, C, side, side) that it takes.

    Raises:
        ValueError: the outputs of onnxruntime differ from those of torch.

    """
    channels, side = shape
    tile = torch.rand((1, channels, side, side), generator=torch.Generator().manual_seed(1))
    net = net.cpu().eval()
    with tempfile.NamedTemporaryFile(suffix=".onnx") as temporary, warnings.catch_warnings():
        # The deprecation warning is ignored: the newer exporter renames the weights.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net, (tile,), temporary.name, opset_version=OPSET, dynamo=False, input_names=["tile"],
            do_constant_folding=False, training=torch.onnx.TrainingMode.PRESERVE,
        )  # fmt: skip
        graph = _in_half_precision(onnx.load(temporary.name))
    helper.set_model_props(graph, dict(facts))
    onnx.checker.check_model(graph)
    file = bytes(graph.SerializeToString())
    with torch.inference_mode():
        outputs = net(tile)
    expected = [outputs] if isinstance(outputs, torch.Tensor) else outputs
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for found, wanted in zip(session.run(None, {"tile": tile.numpy()}), expected, strict=True):
        difference = float(np.abs(found - wanted.numpy()).max())
        if difference > MAX_DIFFERENCE:
            raise ValueError(f"the exported net differs by {difference:.5f} from torch's")
    return file


def _in_half_precision(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Store every convolution's weight as float16, with a cast before its use."""
    casts = []
    for weight in graph.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.ndim < 4:
            continue
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), name))
        casts.append(
            helper.make_node("Cast", [name], [f"{name}.single"], to=onnx.TensorProto.FLOAT)
        )
        for node in graph.graph.node:
            for at, used in enumerate(node.input):
                if used == name:
                    node.input[at] = f"{name}.single"
    for cast in casts:
        graph.graph.node.insert(0, cast)
    return graph


def _untrained(name: str) -> tuple[nn.Module, tuple[int, int]]:
    """Return an untrained net of this name, and the channels and the side of its tiles."""
    if name == REFLECTION:
        return ReflectionNet(), (FIGURES, GRID)
    if name == CLASSIFIER:
        return EvidenceNet(), (3, CROP)
    channels = Recipe(name).channels
    return ResidualNet(channels), (channels, TILE)


def main() -> None:
    """Read the command line, export the net, and write its file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--out", type=Path, default=Path("out"), help="the folder of the fits")
    arguments = parser.parse_args()
    state = torch.load(
        arguments.out / f"{arguments.name}.pt", map_location="cpu", weights_only=True
    )
    net, shape = _untrained(arguments.name)
    net.load_state_dict(state["average"])
    steps = state["earlier_steps"] + state["step"]
    facts = {"recipe": arguments.name, "steps": str(steps), "licence": "Apache-2.0"}
    file = weights_path(arguments.name)
    file.write_bytes(export(net, shape, facts))
    print(f"{file}: {file.stat().st_size / 1e6:.2f} MB after {steps} steps")


if __name__ == "__main__":
    main()
