"""Kept text is no harder to read than the original, for another recogniser than the gate's.

Known lines are drawn, spoilt in five ways, and restored by the small Real-ESRGAN of ../shared.
Tesseract reads them in the original, enlarged, and in what was made of it.

All photos are noisy, as those of a dim room are. For the small network the claim holds with a deviation
of 0.09, as here, and with 0.02, where both are read without an error (44 % kept). With 0.06 it does not:
in three of the five ways Tesseract errs nowhere in the originals that were kept, and in one or two
letters of what was made of each (blurred 1.2 %, compressed 1.9 %, moved 1.6 %). With the official weights
of RealESRGAN_x4plus none of the 18 lines that were kept of 37 got worse, at all three deviations
(docs/experiments.md).
"""

import os
import shutil
import subprocess
from functools import cache, partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pictures
from PIL import ImageDraw, ImageFont

torch = pytest.importorskip("torch", reason="the paper engine's packages are not installed")
pytest.importorskip("spandrel", reason="the paper engine's packages are not installed")

from tasks.paper.restorers import real_esrgan
from tasks.paper.restorers.colour_fix import resized
from tasks.paper.restorers.text_fusion import fuse_text
from tasks.paper.restorers.text_gate import distance, unchanged

WEIGHTS = Path(__file__).parents[2] / "../shared/weights/realesrgan_compact_x4.safetensors"
SCALE = 4
LINES = {
    "Platform 4 departs 18:42": 10, "Fresh bread and coffee": 11, "Keep this door closed": 12,
    "Invoice 2031-0457": 13, "Bahnhof Altona": 14, "Museum of Modern Art": 16,
    "Please ring the bell": 18, "Danger of falling rocks": 20, "Summer sale 30 percent": 22,
    "Open daily from 9 to 17": 24,
}  # fmt: skip
"""What is written, and how high the font is in pixels of the original."""
HEIGHTS = tuple(LINES.values())
LEAST_KEPT = 0.3
GRAIN = 0.09
"""Standard deviation of the noise of the small network's photos."""

pytestmark = [
    pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is not installed"),
    pytest.mark.skipif(not WEIGHTS.is_file(), reason="the shared weights are not here"),
]


def page(lines):
    """Draw lines at `SCALE` times the size; return the page and polygons in original pixels."""
    drawn = Pictures.new("RGB", (320 * SCALE, 330 * SCALE), (236, 230, 216))
    pen, top, polygons = ImageDraw.Draw(drawn), 12, []
    for text, size in lines.items():
        font, place = ImageFont.load_default(size * SCALE), (14 * SCALE, top * SCALE)
        pen.text(place, text, font=font, fill=(34, 30, 52))
        left, above, right, below = np.array(pen.textbbox(place, text, font=font)) / SCALE
        room = (below - above) / 4  # as a detector leaves it
        x, y = (left - room, right + room), (above - room, below + room)
        polygons.append(np.float32([(x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1])]))
        top += round(1.2 * size) + 10
    return np.asarray(drawn, np.float32) / 255, polygons


def small(image, factor=SCALE):
    height, width = image.shape[:2]
    size = round(width / factor), round(height / factor)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def grainy(image, deviation):
    """Add the noise of a photo in dim light."""
    noise = np.random.default_rng(7).normal(0, deviation, image.shape)
    return (image + noise).clip(0, 1).astype(np.float32)


def blurred(image, deviation):
    return grainy(small(cv2.GaussianBlur(image, (0, 0), 0.7 * SCALE)), deviation)


def noisy(image, deviation):
    return grainy(small(image), deviation * 13 / 9)


def compressed(image, deviation):
    pixels = np.rint(255 * grainy(small(image), deviation)).astype(np.uint8)
    _, coded = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 25])
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32) / 255


def of_few_pixels(image, deviation):
    return grainy(resized(small(image, 1.25 * SCALE), small(image).shape[:2]), deviation)


def moved(image, deviation):
    path = np.zeros((9, 9), np.float32)
    cv2.line(path, (0, 5), (8, 3), 1)
    return grainy(small(cv2.filter2D(image, -1, path / path.sum())), deviation)


WAYS = (blurred, noisy, compressed, of_few_pixels, moved)


def tesseract(images, folder):
    """Return the text of images with one line each."""
    for number, image in enumerate(images):
        pixels = np.rint(255 * image[..., ::-1].clip(0, 1)).astype(np.uint8)
        framed = cv2.copyMakeBorder(pixels, *(4 * (16,)), cv2.BORDER_REPLICATE)
        cv2.imwrite(str(folder / f"{number}.png"), framed)
    names = [str(folder / f"{number}.png") for number in range(len(images))]
    (folder / "names.txt").write_text("\n".join(names))
    command = ["tesseract", str(folder / "names.txt"), "-", "--psm", "7", "-l", "eng"]
    limited = os.environ | {"OMP_THREAD_LIMIT": "1"}
    read = subprocess.run(command, capture_output=True, check=True, text=True, env=limited).stdout
    return [text.strip() for text in read.split("\f")[: len(images)]]


def cut(image, polygon):
    left, top = np.rint(SCALE * polygon[0]).astype(int)
    right, bottom = np.rint(SCALE * polygon[2]).astype(int)
    return image[max(0, top) : bottom, max(0, left) : right]


@cache
def restorer(weights):
    return real_esrgan.load(weights, torch.device("cpu"))


@cache
def measured(way, folder, weights=WEIGHTS, deviation=GRAIN, heights=HEIGHTS):
    """Return the texts and readings of the kept lines, [(text, before, after)]."""
    written = {text: height for text, height in LINES.items() if height in heights}
    drawn, polygons = page(written)
    original = way(drawn, deviation)
    whole = resized(original, drawn.shape[:2])
    kept = []

    def gate(before, after, lines):
        kept.extend(unchanged(before, after, lines))
        return kept

    fused = fuse_text(whole, original, polygons, restorer(weights), gate)
    assert (fused.kept, fused.refused) == (sum(kept), len(written) - sum(kept))
    chosen = [
        line for line, keep in zip(zip(written, polygons, strict=True), kept, strict=True) if keep
    ]
    read = tesseract(
        [cut(image, line) for image in (whole, fused.image) for _, line in chosen], folder
    )
    halves = zip(read[: len(chosen)], read[len(chosen) :], strict=True)
    return [
        (text, *(distance(one, text) / len(text) for one in both))
        for (text, _), both in zip(chosen, halves, strict=True)
    ]


@pytest.fixture(scope="module")
def measure(tmp_path_factory):
    return partial(measured, folder=tmp_path_factory.mktemp("lines"))


@pytest.mark.parametrize("way", WAYS)
def test_kept_lines_are_no_harder_to_read(way, measure):
    lines = measure(way)
    assert lines, "nothing was kept"
    assert np.mean([after for *_, after in lines]) <= np.mean([before for _, before, _ in lines])


def test_a_third_of_the_lines_is_kept(measure):
    print("\ncharacter error rate, %   before   after   kept   lines that got worse")
    for way in WAYS:
        lines = measure(way)
        before, after = 100 * np.mean([rates for _, *rates in lines], 0)
        worse = sum(then < now for _, then, now in lines)
        print(
            f"{way.__name__:24} {before:7.1f} {after:7.1f} {len(lines):3} of {len(LINES)} {worse:3}"
        )
    shares = [len(measure(way)) / len(LINES) for way in WAYS]
    print(f"kept in all: {np.mean(shares):.0%}")
    assert np.mean(shares) >= LEAST_KEPT


@pytest.mark.slow
def test_what_the_official_network_invents_is_not_kept(official_x4plus, tmp_path):
    lines = measured(compressed, tmp_path, official_x4plus, 0.06, (10, 14))
    assert lines == [("Bahnhof Altona", 0, 0)]  # of 10 pixels, it makes "Pladoom A doporla 18142"


def test_what_is_drawn_is_read_without_an_error(tmp_path):
    drawn, polygons = page(LINES)
    assert tesseract([cut(drawn, line) for line in polygons], tmp_path) == [*LINES]
