"""Separately restored text is blended in inside of its polygons only, without a seam."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

torch = pytest.importorskip("torch", reason="the paper engine's packages are not installed")

from tasks.paper.restorers import text_fusion
from tasks.paper.restorers.text_fusion import REACH, text_mask

WEIGHTS = Path(__file__).parents[2] / "../shared/weights/realesrgan_compact_x4.safetensors"
PHOTO = skimage.data.astronaut()[:160, :240].astype(np.float32) / 255


def enlarged(image):
    height, width = image.shape[:2]
    large = cv2.resize(image, (4 * width, 4 * height), interpolation=cv2.INTER_CUBIC)
    return large.clip(0, 1)


def everything(before, after, lines):
    assert before.shape == after.shape
    return [True] * len(lines)


def fuse_text(whole, original, polygons, restore, gate=everything):
    return text_fusion.fuse_text(whole, original, polygons, restore, gate).image


def flat(value, size=(100, 200)):
    return np.full((*size, 3), value, np.float32)


def rectangle(left, top, right, bottom):
    corners = (left, top), (right, top), (right, bottom), (left, bottom)
    return np.array(corners, np.float32)


def striped(image):
    """Enlarge, and add lines of one pixel, finer than the wavelets that match colours."""
    lines = np.tile(np.float32((-0.05, 0.05)), 2 * image.shape[0])
    return enlarged(image) + lines[:, np.newaxis, np.newaxis]


def lines_in(image):
    """Return the strength of the lines at each pixel, 1 for full strength."""
    return np.abs(np.diff(image, axis=0)).mean(2) / 0.1


def test_text_is_inside_its_polygon_and_nowhere_else():
    original, polygon = flat(0.5), rectangle(60, 40, 120, 60)
    whole = enlarged(original)
    fused = fuse_text(whole, original, [polygon], striped)
    assert lines_in(fused)[4 * 40 : 4 * 61 - 1, 4 * 60 : 4 * 121].min() > 0.95
    touched = np.zeros(whole.shape[:2], bool)
    touched[4 * (40 - REACH) : 4 * (61 + REACH), 4 * (60 - REACH) : 4 * (121 + REACH)] = True
    assert np.array_equal(fused[~touched], whole[~touched])
    assert fused.dtype == np.float32


def test_the_mask_fades_evenly_on_both_sides():
    mask = text_mask((160, 240), [rectangle(20, 15, 39, 24)], 4)
    assert np.allclose(mask, mask[::-1], atol=0.11)  # it falls by a tenth in the pixel that
    assert np.allclose(mask, mask[:, ::-1], atol=0.11)  # a middle between pixels is rounded by
    assert mask[60:100, 80:160].min() > 0.95
    assert mask[: 4 * (15 - REACH)].max() == 0
    assert mask[80, 68] < 0.5 < mask[80, 71]  # three pixels of the original beyond the polygon


def test_a_slanting_line_is_masked_along_itself():
    slanting = np.array([(20, 20), (120, 70), (116, 78), (16, 28)], np.float32)
    mask = text_mask((400, 600), [slanting], 4)
    assert mask[4 * 49, 4 * 68] > 0.99
    assert mask[4 * 25, 4 * 100] == mask[4 * 70, 4 * 30] == 0


def test_a_colour_shift_of_the_text_leaves_no_visible_patch():
    def restore(image):
        large = enlarged(image)
        cast = np.linspace(-0.2, 0.2, large.shape[1], dtype=np.float32)
        return large * np.float32((0.9, 1, 0.9)) + cast[:, np.newaxis]

    whole, place = enlarged(PHOTO), (slice(4 * 40, 4 * 60), slice(4 * 60, 4 * 120))
    fused = fuse_text(whole, PHOTO, [rectangle(60, 40, 120, 60)], restore)
    assert np.abs(restore(PHOTO) - whole)[place].mean() > 0.05
    assert np.abs(fused - whole)[place].mean() < 0.01


def test_text_takes_the_tone_of_an_image_that_has_another_than_the_original():
    original, tone = flat(0.5), np.float32((0.08, -0.05, 0.03))
    whole = enlarged(original) + tone
    fused = fuse_text(whole, original, [rectangle(60, 40, 120, 60)], enlarged)
    assert np.allclose(fused, whole, atol=1e-4)


def test_each_region_is_restored_once_with_what_surrounds_it():
    asked = []

    def restore(image):
        asked.append(image.shape[:2])
        return striped(image)

    original = flat(0.5, (200, 300))
    near = [rectangle(20, 20, 80, 30), rectangle(20, 36, 90, 46)]
    far = rectangle(200, 150, 280, 170)
    fused = fuse_text(enlarged(original), original, [near[0], far, near[1]], restore)
    assert sorted(asked) == [(79, 123), (82, 132)]  # 32 pixels more, where there are any
    for left, top, right, bottom in ((20, 20, 80, 30), (20, 36, 90, 46), (200, 150, 280, 170)):
        assert lines_in(fused)[4 * top : 4 * bottom, 4 * left : 4 * right].min() > 0.95


def test_tiny_polygons_and_polygons_outside_of_the_image_are_ignored():
    original = flat(0.5)
    whole = enlarged(original)
    polygons = [
        rectangle(50, 50, 53, 54),
        rectangle(400, 10, 450, 30),
        rectangle(-90, -90, -40, -40),
    ]
    fused = fuse_text(whole, original, polygons, lambda _: pytest.fail("it restored a speck"))
    assert np.array_equal(fused, whole)
    assert fused is not whole


@pytest.mark.parametrize(
    "polygon",
    [rectangle(-20, -5, 60, 20), rectangle(150, 80, 230, 130), rectangle(-9, -9, 300, 300)],
)
def test_a_polygon_may_reach_over_the_border(polygon):
    original = flat(0.5)
    fused = fuse_text(enlarged(original), original, [polygon], striped)
    left, top = np.maximum(polygon[0], 0).astype(int)
    right, bottom = np.minimum(polygon[2], (200, 100)).astype(int)
    assert lines_in(fused)[4 * top : 4 * bottom - 1, 4 * left : 4 * right].min() > 0.95


def test_no_text_leaves_the_image():
    whole = enlarged(PHOTO)
    assert np.array_equal(fuse_text(whole, PHOTO, [], striped), whole)


def test_an_image_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="no whole multiple"):
        fuse_text(flat(0.5, (401, 800)), flat(0.5), [], striped)


def test_real_esrgan_sharpens_the_sign_of_a_photo_and_nothing_else():
    pytest.importorskip("spandrel", reason="the paper engine's packages are not installed")
    if not WEIGHTS.is_file():
        pytest.skip("the shared weights are not beside this checkout")
    from tasks.paper.restorers import real_esrgan

    truth = enlarged(PHOTO)
    truth[360:460, 500:900] = (0.9, 0.88, 0.8)
    place, ink = (530, 430), (0.1, 0.1, 0.3)
    cv2.putText(truth, "Altona 31", place, cv2.FONT_HERSHEY_DUPLEX, 2, ink, 4, cv2.LINE_AA)
    blurred = cv2.GaussianBlur(truth, (0, 0), 2.2)
    original = cv2.resize(blurred, (240, 160), interpolation=cv2.INTER_AREA)
    whole = enlarged(original)
    fused = fuse_text(
        whole,
        original,
        [rectangle(130, 95, 218, 110)],
        real_esrgan.load(WEIGHTS, torch.device("cpu")),
    )
    sign, strokes = (slice(380, 440), slice(525, 870)), np.abs(np.diff(truth.mean(2), axis=1)) > 0.1
    steep = [
        np.median(np.abs(np.diff(image.mean(2), axis=1))[sign][strokes[sign]])
        for image in (whole, fused)
    ]
    assert steep[1] > 3 * steep[0]
    assert np.square(fused - truth)[sign].mean() < 0.8 * np.square(whole - truth)[sign].mean()
    assert np.array_equal(fused[:340], whole[:340])
