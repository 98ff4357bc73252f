"""The camera of the recipes: each stage does what its source says, and the noise looks real."""

from pathlib import Path

import numpy as np
import pytest
import skimage.data

torch = pytest.importorskip("torch", reason="fitting needs torch, which `make test` installs")

from tasks.training import noise_sheet
from tasks.training.data import camera
from tasks.training.data.camera import Camera

PAIRS = Path(__file__).parents[3] / "../shared/photos/research/noise_polyu"


def rng(seed=1):
    return torch.Generator().manual_seed(seed)


def photos(count=4, side=128):
    """Parts of a photograph of scikit-image."""
    whole = torch.from_numpy(skimage.data.astronaut()).permute(2, 0, 1).float() / 255
    return torch.stack([whole[:, 60 * n : 60 * n + side, 90 : 90 + side] for n in range(count)])


def drawn(images, *, is_noisy=True, seed=1):
    noisy = torch.full((len(images), 1, 1, 1), is_noisy)
    return Camera.draw(images, noisy, rng(seed))


def level(value, count=1, side=64):
    return torch.full((count, 3, side, side), value)


def test_developing_a_scene_gives_its_photo():
    images = photos()
    used = drawn(images)
    assert (used.developed(used.scene(images)) - images).abs().max() < 0.01


@pytest.mark.parametrize("is_directed", [True, False])
def test_demosaicing_keeps_an_even_colour_and_a_slope(is_directed):
    slope = (
        torch.linspace(0, 1, 64).expand(1, 3, 64, 64) * torch.tensor([1, 0.5, 0.2])[:, None, None]
    )
    directed = torch.tensor(is_directed).reshape(1, 1, 1, 1)
    found = camera.demosaiced(camera.mosaic(slope), directed)
    assert (found - slope)[..., 4:-4, 4:-4].abs().max() < 1e-5


def test_directed_demosaicing_keeps_edges_better():
    images = photos()
    found = [
        camera.demosaiced(camera.mosaic(images), torch.tensor(directed).reshape(1, 1, 1, 1))
        for directed in (True, False)
    ]
    errors = [float((each - images).square().mean()) for each in found]
    assert errors[0] < 0.7 * errors[1]


def test_shot_noise_grows_with_the_light_and_read_noise_does_not():
    shot, read = (torch.tensor(value).reshape(1, 1, 1, 1) for value in (0.01, 0.0004))
    for light in (0.0, 0.25, 1.0):
        raw = torch.full((1, 1, 400, 400), light)
        variance = camera.noised(raw, shot, read, rng()).var()
        assert variance == pytest.approx(0.01 * light + 0.0004, rel=0.05)


def test_the_tone_curve_is_inverted():
    values = torch.linspace(0, 1, 101)
    assert (camera.uncurve(camera.curve(values)) - values).abs().max() < 1e-3


def test_windows_are_averaged():
    planes = torch.rand((2, 3, 40, 48), generator=rng())
    found = camera.averaged(planes, 3)
    assert found.shape == planes.shape
    assert found[1, 2, 20, 30] == pytest.approx(float(planes[1, 2, 17:24, 27:34].mean()), abs=1e-5)


def test_noise_reduction_spares_edges():
    edge = torch.zeros(1, 1, 64, 64)
    edge[..., 32:] = 0.8
    noisy = edge + 0.03 * torch.randn(edge.shape, generator=rng())
    found = camera.edge_preserved(noisy, noisy, 4, torch.tensor(0.06).reshape(1, 1, 1, 1))
    assert (found - edge)[..., :24].std() < 0.5 * (noisy - edge)[..., :24].std()
    assert (found[..., 33] - found[..., 30]).mean() > 0.7


def test_sharpening_leaves_halos_beside_edges_only():
    edge = level(0.3)
    edge[..., 32:] = 0.6
    used = drawn(edge)
    sharp = Camera(**{**vars(used), "sharpening": torch.ones_like(used.sharpening)}).sharpened(edge)
    assert sharp.max() > 0.62 and sharp.min() < 0.28
    assert (sharp - edge)[..., 10:22].abs().max() < 1e-3


def test_a_photo_without_noise_has_the_low_frequencies_of_the_noisy_one():
    images = photos()
    noisy, clean = drawn(images, seed=3).noisy_and_clean(images, rng())
    assert (noisy - clean).std() > 0.5 / 255
    assert camera.averaged(noisy - clean, camera.LOW_RADIUS).std() < 0.2 * (noisy - clean).std()


def test_a_good_camera_takes_nearly_no_noise():
    images = photos()
    noisy, clean = drawn(images, is_noisy=False).noisy_and_clean(images, rng())
    assert (noisy - clean).std() < 1 / 255


def test_the_noise_of_shadows_is_stronger_than_that_of_lights():
    images = torch.cat([level(0.2, 8), level(0.9, 8)], 3)
    noisy, clean = drawn(images, seed=4).noisy_and_clean(images, rng())
    dark, bright = (noisy - clean)[..., 8:56], (noisy - clean)[..., 72:120]
    assert dark.std() > 1.2 * bright.std()


@pytest.mark.skipif(not PAIRS.is_dir(), reason="needs the real pairs in ../shared")
def test_the_noise_of_the_camera_is_nearer_to_real_noise_than_white_noise_is():
    tiles = torch.stack([(255 * image).byte() for image in photos(5, 272)])
    real = list(noise_sheet.real(PAIRS))
    made, white = (
        noise_sheet.distance(real, list(make(tiles, 24, rng())))
        for make in (noise_sheet.by_camera, noise_sheet.white)
    )
    for what in ("auto-correlation of the brightness", "auto-correlation of the colours"):
        assert made[what] < 0.7 * white[what]
    assert made["spectrum (decades)"] < 0.5 * white["spectrum (decades)"]


def test_the_sheet_is_drawn(tmp_path):
    noise = noise_sheet.described(torch.randn((3, 256, 256), generator=rng()) * 4 / 255)
    assert noise.pixels[0].std() == pytest.approx(
        4 * np.sqrt(0.299**2 + 0.587**2 + 0.114**2), rel=0.05
    )
    assert abs(noise.correlations[0]).max() < 0.02
    noise_sheet.draw({"white": [noise]}, tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").stat().st_size > 10_000
