"""Export a fitted net to the package's ONNX file: `python -m tasks.training.export noise`.

A restorer's file leaves the height and width of its tiles open; the others have one fixed shape.
With `--again`, the shipped file is written again in the present form, with the same weights. Weights are stored in half precision and cast to single precision
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
from torch import Tensor, nn

from tasks.imaging.veil_figures import FIGURES, GRID
from tasks.lite.onnx_nets import CLASSIFIER_SIDE, HEIGHT, WIDTH, weights_path
from tasks.training.data.degradations import Recipe
from tasks.training.fit import weights_of
from tasks.training.nets.classifier import EvidenceNet
from tasks.training.nets.restorer import ExportedNet, ResidualNet
from tasks.training.nets.veil import ReflectionNet
from tasks.training.objectives import CLASSIFIER, NAMES, REFLECTION

OPSET = 17
TILE = 512
"""Side in pixels of the tile with which a restorer is compared."""
OPEN_SIDES = {2: HEIGHT, 3: WIDTH}
"""The axes of a restorer's tiles whose size is set when its file is loaded."""
MAX_DIFFERENCE = 1e-2
"""Largest difference of an output between onnxruntime and torch, caused by the rounding of the
weights."""


def export(net: nn.Module, shape: tuple[int, int], facts: Mapping[str, str]) -> bytes:
    """Return a net as an ONNX file with `facts` as its metadata.

    `shape` is C and the side of the tiles (1, C, side, side) that it takes. A restorer takes tiles of
    any sides that are multiples of 8.

    Raises:
        ValueError: the outputs of onnxruntime differ from those of torch.

    """
    channels, side = shape
    tile = torch.rand((1, channels, side, side), generator=torch.Generator().manual_seed(1))
    net = _exported(net.cpu()).eval()
    with tempfile.NamedTemporaryFile(suffix=".onnx") as temporary, warnings.catch_warnings():
        # The deprecation warning is ignored: the newer exporter renames the weights.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net, (tile,), temporary.name, opset_version=OPSET, dynamo=False, input_names=["tile"],
            do_constant_folding=False, training=torch.onnx.TrainingMode.PRESERVE,
            dynamic_axes={"tile": OPEN_SIDES} if isinstance(net, ResidualNet) else None,
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


def _exported(net: nn.Module) -> nn.Module:
    """Return a net in the form that is exported."""
    if not isinstance(net, ResidualNet):
        return net
    exported = ExportedNet(net.enter.in_channels // 4)
    exported.load_state_dict(net.state_dict())
    return exported


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
        return EvidenceNet(), (3, CLASSIFIER_SIDE)
    channels = Recipe(name).channels
    return ResidualNet(channels), (channels, TILE)


def main() -> None:
    """Read the command line, export the net, and write its file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--out", type=Path, default=Path("out"), help="the folder of the fits")
    parser.add_argument("--again", action="store_true", help="write the shipped file again")
    arguments = parser.parse_args()
    file = weights_path(arguments.name)
    state, facts = _shipped(file) if arguments.again else _fitted(arguments.name, arguments.out)
    net, shape = _untrained(arguments.name)
    net.load_state_dict(state)
    file.write_bytes(export(net, shape, facts))
    print(f"{file}: {file.stat().st_size / 1e6:.2f} MB after {facts['steps']} steps")


def _fitted(name: str, folder: Path) -> tuple[Mapping[str, Tensor], Mapping[str, str]]:
    """Return the weights of a fit, and the facts about it that its file records."""
    state = torch.load(folder / f"{name}.pt", map_location="cpu", weights_only=True)
    steps = state["earlier_steps"] + state["step"]
    return state["average"], {"recipe": name, "steps": str(steps), "licence": "Apache-2.0"}


def _shipped(file: Path) -> tuple[Mapping[str, Tensor], Mapping[str, str]]:
    """Return the weights and the facts of a shipped file."""
    return weights_of(file), {fact.key: fact.value for fact in onnx.load(file).metadata_props}


if __name__ == "__main__":
    main()
