"""The paper's chain A: whole image and text, at the photo's own resolution, with real loading code."""

import json
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Picture

torch = pytest.importorskip("torch", reason="the paper engine needs torch")
for _name in ("diffusers", "safetensors", "spandrel"):
    pytest.importorskip(_name, reason="the paper engine's packages are not installed")

from skimage import data

from storage.enums import Category, Degradation
from storage.settings import settings
from storage.settings_paper import PaperSettings
from tasks.evaluation.metrics import psnr
from tasks.guard import judge
from tasks.lite.cleaning import clean
from tasks.paper import pace
from tasks.paper.restorers import resolution
from tasks.paper.restorers.colour_fix import resized
from tasks.paper.restorers.resolution import SHRINK_PER_SIGMA, Resolution, resolution_of
from tasks.paper.restorers.text_fusion import text_mask
from tasks.paper.super_resolution import Enlargement, generator_of, super_resolution
from tasks.receipt import Receipt
from tasks.verdict import Verdict

SHARED = Path(__file__).parents[2] / "../shared"

VERDICT = Verdict(
    {each: float(each is Category.SUPER_RESOLUTION) for each in Category},
    dict.fromkeys(Degradation, 1.0), True,
)  # fmt: skip


def photo(sigma=0.0):
    image = data.coffee().astype(np.float32) / 255
    return cv2.GaussianBlur(image, (0, 0), sigma) if sigma else image


def bicubic(image, place=(0, 0)):
    return cv2.resize(image, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC).clip(0, 1)


def built(**parts):
    return Enlargement(**{
        "enlarge": bicubic, "find_text": lambda image: [], "enlarge_text": bicubic,
        "gate": lambda before, after, lines: [True for _ in lines],
        "keep_faces": lambda restored, photo: (restored, 0, 0),
        "clean": lambda image, verdict: image, "scale": 1, **parts,
    })  # fmt: skip


@pytest.mark.parametrize("sigma", [0, 1.0, 1.6, 2.4])
def test_a_photo_is_shrunk_as_far_as_its_sharpness_allows(sigma):
    image = photo(sigma)
    found = resolution_of(image, 1)
    back = found.restored(image, bicubic)
    print(f"sigma {sigma}: shrunk by {found.shrink:.2f}, {psnr(back, image):.1f} dB")
    assert found.shrink >= min(4, SHRINK_PER_SIGMA * sigma * 0.75)
    assert psnr(back, image) > (34 if sigma == 0 else 40)


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("shape", [(1, 1), (33, 700), (150, 131)])
def test_any_size_comes_back_as_many_times_as_large(scale, shape):
    image = np.random.default_rng(0).random((*shape, 3), np.float32)
    made = built(scale=scale)(image, VERDICT, Receipt())
    assert made.shape == (scale * shape[0], scale * shape[1], 3)
    assert 0 <= made.min() <= made.max() <= 1


def test_tiles_give_the_same_as_the_whole_image(monkeypatch):
    image = photo(1.6)
    whole = Resolution(2.0, 2).restored(image, bicubic)
    monkeypatch.setattr(resolution, "TILE_PIXELS", 96)
    monkeypatch.setattr(resolution, "OVERLAP", 24)
    tiled = Resolution(2.0, 2).restored_by_tiles(image, bicubic)
    assert psnr(tiled, whole) > 45


def test_a_photo_with_too_much_detail_is_cleaned_at_its_full_resolution(monkeypatch):
    monkeypatch.setattr(resolution, "MAX_PIXELS", 100_000)
    receipt = Receipt()

    def never(image, place):
        raise AssertionError

    made = built(enlarge=never, clean=lambda image, verdict: image / 2)(photo(), VERDICT, receipt)
    assert np.array_equal(made, photo() / 2)
    assert not receipt.generative
    assert "too much" in receipt.steps[1]["step"]


def test_a_photo_that_would_take_hours_is_cleaned_and_the_receipt_says_so(monkeypatch):
    receipt = Receipt()

    def never(image, place):
        raise AssertionError

    built(
        enlarge=never, clean=lambda image, verdict: image / 2,
        seconds=lambda image, resolution: 2.5 * 3600,
    )(photo(), VERDICT, receipt)  # fmt: skip
    [_, step] = receipt.steps
    assert "would take 2.5 hours on this device" in step["step"]
    assert not receipt.generative


def test_the_time_of_a_tile_is_measured_once_for_each_device_and_network(home):
    runs = []
    cpu = torch.device("cpu")
    for _ in range(3):
        first = pace.tile_seconds("InvSR", cpu, lambda: runs.append(time.sleep(0.05)))
    assert len(runs) == 2  # the first prepares the device
    assert 0.04 < first < 1
    assert pace.tile_seconds("other", cpu, lambda: None) < first
    known = json.loads((home / "state" / pace.FILE).read_text())
    assert [sorted(nets) for nets in known.values()] == [["InvSR", "other"]]


def test_a_large_photo_that_is_soft_is_enlarged_all_the_same(monkeypatch):
    monkeypatch.setattr(resolution, "MAX_PIXELS", 100_000)
    assert resolution_of(photo(2.4), 1).shrink > 3


def test_text_comes_from_its_own_net_and_the_rest_from_the_other():
    image = np.full((200, 300, 3), 0.5, np.float32)
    image[90:110, 100:200:4] = 0  # strokes, which its own net keeps
    corners = np.array(((96, 86), (204, 86), (204, 114), (96, 114)), np.float32)
    chain = built(
        enlarge=lambda part, place: bicubic(cv2.blur(part, (9, 9))), find_text=lambda _: [corners]
    )
    receipt = Receipt()
    made = chain(image, VERDICT, receipt)
    assert np.abs(made - image)[92:108, 104:196].max() < 0.2
    assert receipt.generative
    steps = ["find text", "restore the whole image", "restore text and fuse", "keep faces"]
    assert [step["step"] for step in receipt.steps] == steps


@pytest.mark.parametrize("most_pixels", [100, 1_000_000])
def test_a_line_of_text_whose_strokes_are_lost_is_not_kept(monkeypatch, most_pixels):
    monkeypatch.setattr(resolution, "MAX_PIXELS", most_pixels)
    image = np.random.default_rng(0).normal(0.5, 0.02, (256, 384, 3)).astype(np.float32)
    image[100:120, 100:200:4] = 0
    corners = np.array(((96, 96), (204, 96), (204, 124), (96, 124)), np.float32)

    def smooth(part):
        return cv2.blur(part, (9, 9))

    chain = built(
        enlarge=lambda part, place: bicubic(smooth(part)), find_text=lambda _: [corners],
        enlarge_text=lambda part: bicubic(smooth(part)), clean=lambda part, _: smooth(part),
    )  # fmt: skip
    receipt = Receipt()
    made = chain(image, VERDICT, receipt)
    judgement = judge(image, made, Category.SUPER_RESOLUTION, text=receipt.text)
    assert judgement.figures["strokes_changed"] > 0.5
    assert np.array_equal(judgement.image[100:120, 100:200], image[100:120, 100:200])


def test_each_tile_has_noise_of_its_own_and_the_same_each_time(monkeypatch):
    monkeypatch.setattr(resolution, "TILE_PIXELS", 256)

    def enlarge(tile, place):
        noise = torch.randn(
            (4 * tile.shape[0], 4 * tile.shape[1], 3), generator=generator_of(place)
        )
        return noise.numpy()

    first, again = (built(enlarge=enlarge, scale=4)(photo(), VERDICT, Receipt()) for _ in range(2))
    assert np.array_equal(first, again)
    stride = 4 * (400 - 256)
    one, below = first[200:400, 200:400], first[200 + stride : 400 + stride, 200:400]
    assert abs(float((one * below).mean())) < 0.05  # a tile's own noise has a mean square of 1
    assert float((one * one).mean()) > 0.3


def test_with_faithful_the_photo_is_not_shrunk():
    sizes = []

    def enlarge(image, place):
        sizes.append(image.shape)
        return bicubic(image)

    made = built(enlarge=enlarge, scale=4, faithful=True)(photo(2.4), VERDICT, Receipt())
    assert made.shape == (1600, 2400, 3)
    assert max(sizes) == (400, 512, 3)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_chain_runs_from_the_weights_folder_and_gives_the_same_twice(
    home, known_weights, monkeypatch
):
    monkeypatch.setenv("PHOTOMEND_WEIGHTS_DIR", str(known_weights))
    settings.cache_clear()
    chain = super_resolution(PaperSettings(), clean, faces=True)
    image = photo(1.2)[:150, :170]
    first, second = (chain(image, VERDICT, Receipt()) for _ in range(2))
    assert first.shape == image.shape
    assert np.array_equal(first, second)
    assert np.abs(first - image).max() > 0.01
    assert (home / "state/invsr-prompt.safetensors").is_file()
    assert chain.seconds(image, resolution_of(image, 1)) > 0
    assert "InvSR, 1 steps" in (home / "state" / pace.FILE).read_text()
    (known_weights / "sd-turbo-text").rename(known_weights / "away")
    try:  # the prompt is kept, and its encoder needed no more
        super_resolution(PaperSettings(), clean, faces=True)
    finally:
        (known_weights / "away").rename(known_weights / "sd-turbo-text")


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_of_a_real_photo_exactly_the_text_comes_from_real_esrgan(home, known_weights, monkeypatch):
    sign = SHARED / "photos/clear/text/easyocr/chinese.jpg"
    if not sign.is_file():
        pytest.skip("the shared photos are not beside this checkout")
    monkeypatch.setenv("PHOTOMEND_WEIGHTS_DIR", str(known_weights))
    settings.cache_clear()
    with Picture.open(sign) as picture:
        truth = np.asarray(picture.convert("RGB"), np.float32)[60:260, 150:500] / 255
    image = cv2.GaussianBlur(truth, (0, 0), 2.0)
    chain = super_resolution(PaperSettings(), clean, faces=True)
    whole = chain.enlarge(image, (0, 0))
    chain = replace(chain, enlarge=lambda part, place: whole)  # it takes half a minute
    receipt = Receipt()
    made = chain(image, VERDICT, receipt)
    found, _, fused, _ = receipt.steps
    assert found["lines"] == fused["kept"] + fused["refused"] > 0
    assert fused["kept"] > 0
    plain = resized(whole, image.shape[:2])
    text = text_mask(image.shape[:2], chain.find_text(image), 1)
    assert np.array_equal(made[text == 0], plain[text == 0])
    before, after = (np.abs(each - truth)[text == 1].mean() for each in (image, made))
    assert after < before  # where InvSR, whose weights are random, makes it worse
    assert np.abs(plain - truth)[text == 1].mean() > before


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_permissive_way_needs_neither_invsr_nor_sd_turbo(home, known_weights, monkeypatch):
    monkeypatch.setenv("PHOTOMEND_WEIGHTS_DIR", str(known_weights))
    settings.cache_clear()
    away = [name for name in known_weights.iterdir() if "turbo" in name.name]
    for name in away:
        name.rename(known_weights / f"away-{name.name}")
    try:
        chain = super_resolution(
            PaperSettings(enlarging_net="RealESRGAN_x4plus"), clean, faces=True
        )
        made = chain(photo(1.2)[:150, :170], VERDICT, Receipt())
    finally:
        for name in away:
            (known_weights / f"away-{name.name}").rename(name)
    assert made.shape == (150, 170, 3)
    assert "RealESRGAN_x4plus" in chain.nets and "InvSR" not in chain.nets
