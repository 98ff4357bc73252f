"""The nets against reflections match their authors' code."""

import copy
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import skimage.data

torch = pytest.importorskip("torch", reason="the paper engine needs torch")
safetensors = pytest.importorskip("safetensors.torch", reason="the golden tensors need safetensors")

from tasks.paper.nets.rrw import LocationNet, PaddedConv, SeparationNet, location_net
from tasks.paper.restorers import separation
from tasks.paper.restorers.separation import Separate

PARITY = Path(__file__).parents[2] / "../shared/parity"
ROUNDING = 2e-5
"""Differences of 26 blocks in float32."""


def shared(name):
    if not (PARITY / name).is_file():
        pytest.skip("the golden tensors are not beside this checkout")
    return PARITY / name


@pytest.fixture(scope="module")
def tiny():
    torch.set_num_threads(1)
    return safetensors.load_file(shared("rrw_tiny.safetensors"))


def weights(tensors, net):
    prefix = f"{net}.model."
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


@pytest.fixture(scope="module")
def location(tiny):
    net = LocationNet(width=0.25, layers=2)
    net.load_state_dict(weights(tiny, "rd"))
    return net.eval()


def separation_net(tensors, device):
    return SeparationNet.of(weights(tensors, "rr"), None).to(device.torch)


def worst(one, other):
    assert one.shape == other.shape
    return float((one - other).abs().max())


def watched(net, names, *given):
    """Run a net, and return its outputs and those of some modules."""
    seen = {}
    hooks = [
        net.get_submodule(name).register_forward_hook(
            lambda _, __, made, name=name: seen.update({name: made})
        )
        for name in names
    ]
    with torch.inference_mode():
        made = net(*given)
    for hook in hooks:
        hook.remove()
    return made, seen


def inside(tensors, net):
    prefix = f"{net}.mid."
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def test_each_part_of_the_location_net_gives_what_the_authors_gives(device, tiny, location):
    expected = inside(tiny, "rd")
    assert len(expected) == 16
    net = copy.deepcopy(location).to(device.torch)
    made, seen = watched(net, expected, tiny["in.image2"].to(device.torch))
    assert all(device.near(seen[name], expected[name], ROUNDING) for name in expected)
    assert device.near(made, tiny["rd.out2"], ROUNDING)


@torch.inference_mode()
def test_an_odd_size_and_a_batch_give_the_authors_map(tiny, location):
    assert worst(location(tiny["in.image"]), tiny["rd.out"]) < ROUNDING


def test_each_part_of_the_separation_net_gives_what_the_authors_gives(device, tiny):
    expected = inside(tiny, "rr")
    assert len(expected) == 6
    given = [tiny[name].to(device.torch) for name in ("in.rr_image", "in.rr_map")]
    made, seen = watched(separation_net(tiny, device), expected, *given)
    assert all(device.near(seen[name], expected[name], ROUNDING) for name in expected)
    assert device.near(made, tiny["rr.out"], ROUNDING)


@torch.inference_mode()
def test_both_chained_give_the_authors_image(device, tiny, location):
    image = tiny["in.rr_image"].to(device.torch)
    where = copy.deepcopy(location).to(device.torch)(image)
    assert device.near(where, tiny["chain.map"], ROUNDING)
    assert device.near(separation_net(tiny, device)(image, where), tiny["chain.out"], ROUNDING)


@torch.inference_mode()
def test_a_size_that_is_no_multiple_of_16_is_framed_with_its_map(tiny):
    net = SeparationNet.of(weights(tiny, "rr"), None)
    image, where = tiny["in.rr_image"], tiny["in.rr_map"]
    framed = image.clone(), where.clone()
    for tensor in framed:
        tensor[..., 50:, :], tensor[..., 71:] = 0, 0
    made = net(image[..., :50, :71], where[..., :50, :71])
    assert worst(made, net(*framed)[..., :50, :71]) < ROUNDING


def seeded(net):
    """Return the weights of the recipe that the golden file names."""
    made = {}
    for name, tensor in net.state_dict().items():
        made[name] = tensor
        if not tensor.is_floating_point() or name in ("norm.mean", "norm.std"):
            continue
        chance = np.random.RandomState(zlib.crc32(name.encode()))
        normal = chance.standard_normal(tuple(tensor.shape)).astype(np.float32)
        if name.endswith("running_var"):
            normal = 0.6 + 0.4 * np.abs(normal)
        elif name.endswith("running_mean"):
            normal = 0.1 * normal
        elif normal.ndim >= 2:
            normal = normal * np.sqrt(1.5 / normal[0].size)
        else:
            normal = 0.1 * normal + (1 if name.endswith("weight") else 0)
        made[name] = torch.from_numpy(np.asarray(normal, np.float32))
    return made


def test_the_full_size_location_net_gives_the_authors_map(device):
    tensors = safetensors.load_file(shared("rrw_rd_b3_seeded.safetensors"))
    net = location_net(seeded(LocationNet())).to(device.torch)
    expected = {k.removeprefix("mid."): v for k, v in tensors.items() if k.startswith("mid.")}
    assert len(expected) == 2
    made, seen = watched(net, expected, tensors["in.image"].to(device.torch))
    for found, meant in (
        (made, tensors["out"]),
        *((seen[name], expected[name]) for name in expected),
    ):
        assert device.near(found, meant, ROUNDING * float(meant.abs().max()))


def test_paddings_are_those_of_the_official_net():
    frames = [layer.frame for layer in LocationNet().modules() if isinstance(layer, PaddedConv)]
    assert frames[0] == (0, 1, 0, 1)
    assert [frame[0] for frame in frames[1:]] == [
        1,
        1,
        0,
        1,
        1,
        *3 * [2],
        0,
        *4 * [1],
        *11 * [2],
        1,
        1,
    ]


@pytest.mark.parametrize(
    "name, build",
    [
        ("rrw_rd_keys.json", LocationNet),
        ("rrw_rr_keys.json", lambda: SeparationNet(32, (1, 1, 1, 28), 1, (1, 1, 1, 1))),
    ],
)
def test_the_published_files_fit(name, build):
    shapes = {key: tuple(shape) for key, shape in json.loads(shared(name).read_text()).items()}
    with torch.device("meta"):
        net = build()
    assert {key: tuple(tensor.shape) for key, tensor in net.state_dict().items()} == shapes


def test_weights_of_another_net_are_refused(tiny):
    with pytest.raises(RuntimeError):
        location_net(weights(tiny, "rr"))
    with pytest.raises(RuntimeError):
        SeparationNet.of({k: v for k, v in weights(tiny, "rr").items() if "DetEnc" not in k})


PHOTO = skimage.data.astronaut().astype(np.float32) / 255
CPU = torch.device("cpu")


class Bright(torch.nn.Module):
    """Finds a reflection where the image is brighter than 0.5."""

    def forward(self, image):
        return (image.mean(1, keepdim=True) > 0.5).float()


class Darker(torch.nn.Module):
    """Subtracts 0.2 where the map is set."""

    def forward(self, image, where):
        return image - 0.2 * where


def test_an_image_goes_through_both_nets_as_the_authors(tiny, location):
    restore = Separate(location, SeparationNet.of(weights(tiny, "rr"), None), CPU)
    image = tiny["in.rr_image"][0].permute(1, 2, 0).numpy()
    expected = tiny["chain.out"][0].permute(1, 2, 0).numpy().clip(0, 1)
    assert np.abs(restore(image) - expected).max() < ROUNDING


def test_a_large_photo_keeps_its_detail():
    rows, columns = np.mgrid[:600, :2600]
    grain = np.where((rows + columns) % 2 == 0, np.float32(0.05), np.float32(-0.05))
    photo = np.where(columns < 1300, np.float32(0.2), np.float32(0.8)) + grain
    photo = np.repeat(photo[..., np.newaxis], 3, 2)
    restored = Separate(Bright(), Darker(), CPU)(photo)
    assert restored.shape == photo.shape
    taken = (photo - restored)[..., 0]
    assert np.abs(taken[:, :1290]).max() < 1e-3
    assert np.abs(taken[:, 1310:] - 0.2).max() < 1e-3


@pytest.mark.parametrize("shape", [(1, 1), (7, 1500), (1400, 33)])
def test_any_size_is_restored(tiny, location, shape):
    image = np.random.default_rng(1).random((*shape, 3), np.float32)
    restore = Separate(location, SeparationNet.of(weights(tiny, "rr"), None), CPU)
    assert restore(image).shape == image.shape


def test_output_that_is_not_finite_is_not_used():
    class Broken(torch.nn.Module):
        def forward(self, image, where):
            return image * float("nan")

    assert np.array_equal(Separate(Bright(), Broken(), CPU)(PHOTO), PHOTO)


def test_both_files_are_loaded(tiny, tmp_path):
    torch.save({"state_dict": seeded(LocationNet())}, tmp_path / "RD.pth")
    parallel = {f"module.{name}": tensor for name, tensor in weights(tiny, "rr").items()}
    torch.save(parallel, tmp_path / "RR.pth")
    restore = separation.load(tmp_path / "RD.pth", tmp_path / "RR.pth", CPU)
    assert restore(PHOTO[:64, :80]).shape == (64, 80, 3)
