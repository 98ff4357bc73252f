"""The trained nets: their files are valid, tiles leave no seam, and memory is freed."""

import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
import skimage.data

from tasks.imaging import degrade
from tasks.imaging.veil_figures import FIGURES, GRID
from tasks.lite import onnx_nets, tiled_net
from tasks.lite.onnx_nets import weights_path
from tasks.lite.tiled_net import restored

pytestmark = pytest.mark.slow

FILES = sorted(weights_path("noise").parent.glob("*.onnx"))
RESTORERS = [file.stem for file in FILES if file.stem not in ("classifier", "reflection")]
PHOTO = skimage.data.coffee().astype(np.float32) / 255


def conditions(name):
    """Return the conditions of a net, whose quality loss is unknown."""
    return (0.0,) if name == "compression" else ()


def noisy(image=PHOTO):
    return degrade.noisy(image, 15, np.random.default_rng(2))


def test_all_weights_together_stay_small():
    assert "noise" in RESTORERS
    assert sum(file.stat().st_size for file in FILES) < 25e6


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_file_records_its_recipe(file):
    session = onnxruntime.InferenceSession(file)
    facts = session.get_modelmeta().custom_metadata_map
    shapes = {
        "reflection": [1, FIGURES, GRID, GRID],
        "classifier": [1, 3, onnx_nets.CLASSIFIER_SIDE, onnx_nets.CLASSIFIER_SIDE],
    }
    open_sides = [1, 3 + len(conditions(file.stem)), "height", "width"]
    assert facts["recipe"] == file.stem
    assert int(facts["steps"]) > 1000
    assert facts["licence"] == "Apache-2.0"
    assert session.get_inputs()[0].shape == shapes.get(file.stem, open_sides)


@pytest.mark.parametrize("name", RESTORERS)
def test_a_net_leaves_a_good_photo_nearly_as_it_is(name):
    mended = restored(PHOTO, name, conditions(name))
    assert -10 * np.log10(np.square(mended - PHOTO).mean()) > 32


@pytest.mark.parametrize("name", RESTORERS)
def test_a_file_is_loaded_without_changes_of_layout_between_convolutions(name, tmp_path):
    """Each costs a pass over memory: one is left after each enlargement, and none at the skips."""
    onnx = pytest.importorskip("onnx", reason="it comes with what fitting needs")
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    for open_side in ("height", "width"):
        options.add_free_dimension_override_by_name(open_side, 512)
    onnxruntime.InferenceSession(weights_path(name), options, providers=["CPUExecutionProvider"])
    nodes = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert nodes.count("Add") == 1  # of the image and its residual
    assert "Transpose" not in nodes


def test_tiles_of_a_photo_have_one_size_and_fill_it(monkeypatch):
    loaded, tiles = [], []

    def load(_, size):
        loaded.append(size)
        return lambda tile: tiles.append(tile.shape[:2]) or [tile.transpose(2, 0, 1)[None]]

    monkeypatch.setattr(onnx_nets, "load", load)
    image = np.random.default_rng(0).random((1000, 2700, 3), np.float32)
    assert np.array_equal(restored(image, "noise"), image)
    assert loaded == [(504 + 160, 680 + 160)]
    assert tiles == loaded * 8


@pytest.mark.parametrize("name", RESTORERS)
def test_tiles_leave_no_seam(name, monkeypatch):
    """An image that is cut elsewhere gets the same result."""
    monkeypatch.setattr(tiled_net, "MAX_PAYLOAD", 384)
    image = noisy(np.tile(PHOTO, (2, 2, 1))[:768, :768])
    shift = 128
    whole, cut = (
        restored(image, name, conditions(name))[shift:, shift:],
        restored(image[shift:, shift:], name, conditions(name)),
    )
    inside = slice(96, -96)  # near its border, the cut image sees its mirror
    assert np.abs(whole - cut)[inside, inside].max() < 1 / 255


def test_noise_is_removed():
    mended = restored(noisy(), "noise")
    gain = -10 * np.log10(np.square(mended - PHOTO).mean() / np.square(noisy() - PHOTO).mean())
    assert gain > 4  # the photo's own grain goes, too


@pytest.mark.parametrize("quality", [30, 50, 70])
def test_a_known_quality_improves_the_removal_of_blocks(quality):
    """Of a photo that was shrunk, so that it has no other degradation."""
    clean = skimage.data.astronaut()[::2, ::2].astype(np.float32) / 255
    file = degrade.compressed(clean, quality)

    def error(lost):
        return np.square(restored(file, "compression", (lost,)) - clean).mean()

    assert error(1 - quality / 100) < error(0.0) < np.square(file - clean).mean()


GROWTH = """
import numpy as np
from tasks.lite.tiled_net import restored

def resident():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1000

small, large = (np.zeros((side, side, 3), np.float32) for side in (64, 1700))
for name in ("noise", "softness", "motion"):
    restored(small, name)
before = resident()
for name in ("noise", "softness", "motion"):
    restored(large, name)
print(resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the resident memory from /proc")
def test_the_memory_of_a_net_is_freed():
    result = subprocess.run(
        [sys.executable, "-c", GROWTH], capture_output=True, text=True, check=True
    )
    assert float(result.stdout) < 60  # of megabytes
