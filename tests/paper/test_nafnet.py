"""NAFNet matches its authors' code; its restorer takes any size and refuses unusable output."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

torch = pytest.importorskip("torch", reason="the paper engine needs torch")
safetensors = pytest.importorskip("safetensors.torch", reason="the golden tensors need safetensors")

from storage.errors import WeightsWrong
from tasks.paper.nets.nafnet import LocalMean, NAFNet
from tasks.paper.restorers.nafnet import Deblur, load, trusted

PARITY = Path(__file__).parents[2] / "../shared/parity"
ROUNDING = 2e-6
"""Differences by the order of sums in float32."""


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def golden(name):
    if not (PARITY / name).is_file():
        pytest.skip("the golden tensors are not beside this checkout")
    tensors = safetensors.load_file(PARITY / name)
    weights = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    return weights, tensors


def worst(one, other):
    assert one.shape == other.shape
    return float((one - other).abs().max())


@torch.inference_mode()
@pytest.mark.parametrize("given, expected", [("in.image", "out"), ("in.image_exact", "out_exact")])
def test_whole_image_means_give_the_authors_output(device, given, expected):
    weights, tensors = golden("nafnet_tiny.safetensors")
    made = NAFNet.of(weights, None).to(device.torch)(tensors[given].to(device.torch))
    assert device.near(made, tensors[expected], ROUNDING)


@torch.inference_mode()
@pytest.mark.parametrize("case", ["a", "b", "c"])
def test_local_means_give_the_authors_output(device, case):
    weights, tensors = golden("nafnet_local_tiny.safetensors")
    image = tensors[f"in.{case}"].to(device.torch)
    local, plain = (NAFNet.of(weights, window).to(device.torch) for window in (48, None))
    assert device.near(local(image), tensors[f"{case}.out"], ROUNDING)
    assert device.near(plain(image), tensors[f"{case}.out_plain"], ROUNDING)


@torch.inference_mode()
def test_each_local_mean_is_the_authors(device):
    weights, tensors = golden("nafnet_local_tiny.safetensors")
    net, seen = NAFNet.of(weights, 48).to(device.torch), {}
    for name, module in net.named_modules():
        if isinstance(module, LocalMean):
            module.register_forward_hook(lambda _, __, made, name=name: seen.update({name: made}))
    net(tensors["in.a"].to(device.torch))
    expected = {k.removeprefix("a.mid."): v for k, v in tensors.items() if k.startswith("a.mid.")}
    assert len(expected) == 6
    assert all(device.near(seen[name], mean, ROUNDING) for name, mean in expected.items())


@pytest.mark.parametrize("width", [32, 64])
def test_the_official_checkpoints_fit(width):
    file = PARITY / f"nafnet_gopro_width{width}_keys.json"
    if not file.is_file():
        pytest.skip("the golden tensors are not beside this checkout")
    shapes = {name: tuple(shape) for name, shape in json.loads(file.read_text()).items()}
    with torch.device("meta"):
        net = NAFNet(width, (1, 1, 1, 28), 1, (1, 1, 1, 1), 256)
    assert {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()} == shapes


def test_windows_of_the_official_nets_are_those_of_the_paper():
    net = NAFNet(2, (1, 1, 1, 1), 1, (1, 1, 1, 1), 256)
    windows = [module.window for module in net.modules() if isinstance(module, LocalMean)]
    assert windows == [384, 192, 96, 48, 24, 48, 96, 192, 384]


PHOTO = skimage.data.astronaut()[:360, :470].astype(np.float32) / 255
CPU = torch.device("cpu")


class Lighter(torch.nn.Module):
    """Adds 0.02, then applies `spoil` to a tile's pixels."""

    def __init__(self, spoil=lambda made: made):
        super().__init__()
        self.spoil = spoil

    def forward(self, image):
        return self.spoil(image + 0.02)


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (37, 41), (250, 333)])
def test_any_size_is_restored(shape):
    weights, _ = golden("nafnet_tiny.safetensors")
    image = np.random.default_rng(1).random((*shape, 3), np.float32)
    restored = Deblur(NAFNet.of(weights), CPU, tile_pixels=128)(image)
    assert restored.shape == image.shape
    assert restored.dtype == np.float32
    assert 0 <= restored.min() <= restored.max() <= 1


def test_tiles_leave_no_seam():
    """Means differ between tiles, and so do the results, but not abruptly."""

    class Mean(torch.nn.Module):
        def forward(self, image):
            return image + 0.1 * (image.mean((-2, -1), keepdim=True) - 0.5)

    image = 0.1 + 0.8 * PHOTO  # nothing is clipped
    change = Deblur(Mean(), CPU, tile_pixels=128)(image) - image
    assert np.ptp(change) > 8 / 255
    assert max(np.abs(np.diff(change, axis=axis)).max() for axis in (0, 1)) < 0.6 / 255


def test_a_good_result_is_kept():
    restored = Deblur(Lighter(), CPU)(PHOTO)
    assert np.abs(restored - np.clip(PHOTO + np.float32(0.02), 0, 1)).max() < 1e-6
    assert restored.max() == 1


@pytest.mark.parametrize("absurd", [float("nan"), float("inf"), -3.0, 1e20])
def test_what_explodes_in_one_place_is_not_believed_there(absurd):
    def spoil(made):
        made[..., 100:180, 200:260] = absurd
        return made

    restored = Deblur(Lighter(spoil), CPU)(PHOTO)
    assert np.array_equal(restored[100:180, 200:260], PHOTO[100:180, 200:260])
    assert np.abs(restored - PHOTO).max() < 0.021  # nothing leaks out
    assert np.median(restored - PHOTO) > 0.019  # elsewhere the net is trusted


@pytest.mark.parametrize(
    "explosion",
    [
        lambda made: made * 0 + torch.tensor([33, 25, 23])[:, None, None] / 255,
        lambda made: made + (torch.arange(made.shape[-1]) % 2 - 0.5),
        lambda made: made.roll(1, 1) + torch.tensor([0.3, -0.3, 0.3])[:, None, None],
    ],
    ids=["dark", "grid", "colours"],
)
def test_an_image_that_explodes_as_a_whole_stays_as_it_is(explosion):
    assert np.array_equal(Deblur(Lighter(explosion), CPU)(PHOTO), PHOTO)


def test_undoing_a_wide_blur_of_hard_edges_is_believed():
    """The trust must accept proper results: black bars, moved by 30 pixels."""
    sharp = np.zeros((300, 400, 3), np.float32)
    sharp[:, 100:200], sharp[:, 300:] = 1, 1
    blurred = cv2.blur(sharp, (30, 1))
    assert np.abs(trusted(blurred, sharp) - sharp).max() < 1e-6


def test_short_memory_halves_the_tiles_and_then_says_so():
    class Small(torch.nn.Module):
        def __init__(self, most):
            super().__init__()
            self.most = most

        def forward(self, image):
            if image.shape[-1] > self.most:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return image

    image = np.random.default_rng(2).random((300, 900, 3), np.float32)
    assert np.allclose(Deblur(Small(256), CPU)(image), image, atol=1e-6)
    with pytest.raises(torch.OutOfMemoryError):
        Deblur(Small(200), CPU)(image)


def test_a_published_file_is_loaded(tmp_path):
    weights, tensors = golden("nafnet_tiny.safetensors")
    torch.save({"params": weights}, tmp_path / "net.pth")
    deblur = load(tmp_path / "net.pth", CPU, local=False)
    with torch.inference_mode():
        assert worst(deblur.net(tensors["in.image"]), tensors["out"]) < ROUNDING


def test_weights_of_another_net_are_refused(tmp_path):
    weights, _ = golden("nafnet_tiny.safetensors")
    for wrong in ({"kernel": torch.zeros(1)}, weights | {"kernel": torch.zeros(1)}):
        with pytest.raises(RuntimeError):
            NAFNet.of(wrong)


def test_an_image_that_must_not_be_written_to_is_read_only():
    image = PHOTO[:, ::-1].copy()
    image.flags.writeable = False
    assert Deblur(Lighter(), CPU)(image).shape == image.shape


def test_a_file_with_code_in_it_is_refused(tmp_path):
    torch.save({"params": Path("/")}, tmp_path / "net.pth")
    with pytest.raises(WeightsWrong, match="could run code"):
        load(tmp_path / "net.pth", CPU)
