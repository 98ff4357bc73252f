"""Real-ESRGAN sharpens letters, and its tiles leave no seam."""

import pickle
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the paper engine's packages are not installed")
pytest.importorskip("spandrel", reason="the paper engine's packages are not installed")

from safetensors.torch import save_file
from spandrel.architectures.Compact import Compact
from spandrel.architectures.ESRGAN import ESRGAN
from spandrel.architectures.NAFNet import NAFNet

from storage.errors import WeightsWrong
from tasks.paper.restorers import real_esrgan

WEIGHTS = Path(__file__).parents[2] / "../shared/weights/realesrgan_compact_x4.safetensors"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def restore():
    if not WEIGHTS.is_file():
        pytest.skip("the shared weights are not beside this checkout")
    return real_esrgan.load(WEIGHTS, CPU)


@pytest.fixture(scope="module")
def page():
    """Two lines of letters, (256, 768, 3)."""
    paper = np.full((256, 768, 3), (0.93, 0.9, 0.84), np.float32)
    for line, text in enumerate(("Bahnhof Altona 2031", "Quick brown foxes")):
        place = (24, 100 + 110 * line)
        cv2.putText(
            paper, text, place, cv2.FONT_HERSHEY_DUPLEX, 2, (0.12, 0.1, 0.2), 4, cv2.LINE_AA
        )
    return paper


@pytest.fixture(scope="module")
def spoilt(page):
    """The page at a quarter of its size: blurred, noisy and compressed."""
    small = cv2.resize(cv2.GaussianBlur(page, (0, 0), 2.2), (192, 64), interpolation=cv2.INTER_AREA)
    small = small + np.random.default_rng(0).normal(0, 0.015, small.shape)
    pixels = (small.clip(0, 1) * 255).round().astype(np.uint8)
    _, coded = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 60])
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32) / 255


def steepness(image, page):
    """The median slope across the strokes of the page, in greys of a pixel."""
    slopes, strokes = (np.abs(np.diff(one.mean(2), axis=1)) for one in (image, page))
    return np.median(slopes[strokes > 0.1])


def test_strokes_become_sharper_and_closer_to_the_truth(restore, page, spoilt):
    made = restore(spoilt)
    plain = cv2.resize(spoilt, (768, 256), interpolation=cv2.INTER_CUBIC)
    assert made.shape == page.shape
    assert made.dtype == np.float32
    assert steepness(made, page) > 4 * steepness(plain, page)
    assert np.square(made - page).mean() < 0.7 * np.square(plain - page).mean()


def test_tiles_are_invisible(restore, spoilt):
    whole = replace(restore, tile_pixels=1024)(spoilt)
    tiled = replace(restore, tile_pixels=128)(spoilt)
    assert np.abs(tiled - whole).max() < 0.1 / 255  # the net hardly looks further than 32 pixels


def test_all_tiles_have_one_size(restore, spoilt):
    seen = []
    net = restore.net

    class Watched:
        scale, device, dtype = net.scale, net.device, net.dtype

        def __call__(self, tile):
            seen.append(tuple(tile.shape))
            return tile.repeat_interleave(4, 2).repeat_interleave(4, 3)

    image = np.ascontiguousarray(np.tile(spoilt, (4, 2, 1))[:201, :333])
    made = replace(restore, net=Watched(), tile_pixels=128)(image)
    assert set(seen) == {(1, 3, 128, 128)}
    assert np.allclose(made, image.repeat(4, 0).repeat(4, 1), atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 70)])
def test_any_size_is_enlarged(restore, size):
    grey = np.full((*size, 3), 0.5, np.float32)
    made = restore(grey)
    assert made.shape == (4 * size[0], 4 * size[1], 3)
    assert np.abs(made - 0.5).max() < 0.1


def test_tiles_are_halved_where_memory_is_short(restore, spoilt):
    class Short:
        scale, device, dtype = restore.net.scale, restore.net.device, restore.net.dtype

        def __call__(self, tile):
            if max(tile.shape) > 128:
                raise torch.OutOfMemoryError
            return restore.net(tile)

    wanted = replace(restore, tile_pixels=128)(spoilt)
    assert np.array_equal(replace(restore, net=Short(), tile_pixels=512)(spoilt), wanted)
    with pytest.raises(torch.OutOfMemoryError):
        replace(restore, net=Short(), tile_pixels=192)(np.zeros((200, 200, 3), np.float32))


@pytest.mark.parametrize(
    ("net", "scale"),
    [
        (ESRGAN(num_filters=16, num_blocks=2, scale=4), 4),
        (ESRGAN(in_nc=12, num_filters=16, num_blocks=2, scale=4, shuffle_factor=2), 2),
        (Compact(num_feat=16, num_conv=4, upscale=2), 2),
    ],
    ids=["x4plus", "x2plus", "compact"],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_the_kinds_of_real_esrgan_are_loaded(tmp_path, net, scale, suffix):
    file = tmp_path / f"net{suffix}"
    if suffix == ".pth":
        torch.save({"params_ema": net.state_dict()}, file)
    else:
        save_file(net.state_dict(), file)
    enlarge = real_esrgan.load(file, CPU, torch.bfloat16)
    assert enlarge.scale == scale
    assert enlarge.net.dtype == torch.bfloat16
    made = enlarge(np.random.default_rng(1).random((21, 33, 3), np.float32))
    assert made.shape == (21 * scale, 33 * scale, 3)


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("write", [partial(pickle.dump, protocol=2), torch.save])
def test_code_in_a_file_is_not_run(tmp_path, write):
    sprung = tmp_path / "sprung"
    with (tmp_path / "net.pth").open("wb") as file:
        write({"params_ema": Trap(sprung)}, file)
    with pytest.raises(WeightsWrong, match=r"net\.pth"):
        real_esrgan.load(tmp_path / "net.pth", CPU)
    assert not sprung.exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_the_error_names_a_damaged_file(tmp_path, suffix):
    (tmp_path / f"net{suffix}").write_bytes(b"no weights at all")
    with pytest.raises(WeightsWrong, match=suffix):
        real_esrgan.load(tmp_path / f"net{suffix}", CPU)


def test_a_file_of_another_net_is_refused(tmp_path):
    net = NAFNet(width=8, middle_blk_num=1, enc_blk_nums=[1], dec_blk_nums=[1])
    save_file(net.state_dict(), tmp_path / "net.safetensors")
    with pytest.raises(WeightsWrong, match="NAFNet"):
        real_esrgan.load(tmp_path / "net.safetensors", CPU)


@pytest.mark.slow
def test_the_official_weights_make_blurred_letters_sharp(official_x4plus, page, spoilt):
    official = real_esrgan.load(official_x4plus, CPU)
    part = np.ascontiguousarray(spoilt[:32])  # the first line
    made, plain = official(part), cv2.resize(part, (768, 128), interpolation=cv2.INTER_CUBIC)
    truth = page[:128]
    errors = [float(np.square(each - truth).mean()) for each in (plain, made)]
    print(f"mean squared error {errors[0]:.4f} -> {errors[1]:.4f}")
    assert errors[1] < 0.6 * errors[0]
    assert steepness(made, truth) > 2 * steepness(plain, truth)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_tile_that_exceeds_half_precision_is_made_again_in_float32(spoilt, caplog, value):
    caplog.set_level("INFO")
    restore = real_esrgan.load(WEIGHTS, CPU, torch.bfloat16)  # float16 takes minutes on a CPU
    before = {name: tensor.clone() for name, tensor in restore.net.model.state_dict().items()}
    fine = restore(spoilt)
    assert not caplog.records
    last = [layer for layer in restore.net.model.modules() if isinstance(layer, torch.nn.Conv2d)][
        -1
    ]
    last.register_forward_hook(
        lambda net, _inputs, output: (
            output if output.dtype == torch.float32 else output + float(value)
        )
    )
    made = restore(spoilt)
    assert 0 < np.abs(made - fine).mean() < 0.01
    assert "a tile exceeds the range of torch.bfloat16" in caplog.text
    after = restore.net.model.state_dict()
    assert all(torch.equal(before[name], tensor) for name, tensor in after.items())


def test_a_net_that_is_not_finite_in_float32_either_is_told(spoilt):
    restore = real_esrgan.load(WEIGHTS, CPU)
    restore.net.model.register_forward_hook(lambda net, _inputs, output: output * float("nan"))
    with pytest.raises(FloatingPointError, match="Real-ESRGAN returned values that are not finite"):
        restore(spoilt)
