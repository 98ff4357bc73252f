"""A restored line of text is kept only if it reads as before."""

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="the paper engine's packages are not installed")

from tasks.paper.restorers.text_fusion import REACH, fuse_text
from tasks.paper.restorers.text_gate import distance, read, unchanged

LINE = np.array([(40, 65), (559, 65), (559, 134), (40, 134)], np.float32)


def page(text, softness=0.0):
    made = np.full((200, 600, 3), 0.9, np.float32)
    cv2.putText(made, text, (50, 115), cv2.FONT_HERSHEY_SIMPLEX, 1.5, (0.1, 0.1, 0.3), 3, 16)
    return cv2.GaussianBlur(made, (0, 0), softness) if softness else made


def turned(image, degrees):
    """Rotate an image around its centre, and `LINE` with it."""
    matrix = cv2.getRotationMatrix2D((300, 300), degrees, 1)
    framed = cv2.copyMakeBorder(image, 200, 200, 0, 0, cv2.BORDER_REPLICATE)
    made = cv2.warpAffine(framed, matrix, (600, 600), borderMode=cv2.BORDER_REPLICATE)
    return made, cv2.transform(LINE[np.newaxis] + np.float32((0, 200)), matrix)[0]


def enlarged(image):
    return cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC).clip(0, 1)


def restoring(made):
    """Return a restorer that returns the centre of this image."""

    def restore(seen):
        top, left = max(0, 200 - seen.shape[0]) // 2, (600 - seen.shape[1]) // 2
        return enlarged(made[top : top + seen.shape[0], left : left + seen.shape[1]])

    return restore


@pytest.mark.parametrize("degrees", [0, 20, -20, -90])
def test_a_line_is_read_along_its_slant(degrees):
    assert read(*turned(page("Bahnhof Altona"), degrees)).text == "Bahnhof Altona"


def test_the_order_of_the_corners_does_not_matter():
    assert {read(page("Altona 31"), np.roll(LINE, n, 0)).text for n in range(4)} == {"Altona 31"}


def test_a_line_that_became_clearer_is_kept():
    assert unchanged(page("Bahnhof Altona", 7), page("Bahnhof Altona", 1), [LINE]) == [True]


def test_a_line_that_became_less_clear_is_refused():
    assert unchanged(page("Bahnhof Altona", 1), page("Bahnhof Altona", 7), [LINE]) == [False]


def test_a_line_that_became_another_is_refused_however_sure_it_is():
    assert unchanged(page("Bahnhof Altona", 7), page("Bathroom Altar", 0), [LINE]) == [False]


def test_a_line_that_could_not_be_read_is_refused():
    assert unchanged(page("Bahnhof Altona", 25), page("Bahnhof Altona"), [LINE]) == [False]
    assert unchanged(page(""), page("Bahnhof Altona"), [LINE]) == [False]


@pytest.mark.parametrize(
    "line", [LINE[:1].repeat(4, 0), LINE[[0, 1, 1, 0]], LINE * 9, LINE - 900, LINE[:3]]
)
def test_any_polygon_can_be_read(line):
    assert unchanged(page("Altona", 2), page("Altona"), [line]) in ([True], [False])


@pytest.mark.parametrize(
    ("one", "other", "changes"),
    [("", "", 0), ("abc", "", 3), ("", "ab", 2), ("kitten", "sitting", 3), ("flaw", "lawn", 2)],
)
def test_the_distance_counts_changed_letters(one, other, changes):
    assert distance(one, other) == distance(other, one) == changes


def test_refused_lines_are_the_originals_pixels_and_the_rest_is_the_image_to_the_bit():
    original, invented = page("Bahnhof Altona", 3), page("Bathroom Altar")
    whole = np.roll(enlarged(page("Rathaus Wedel", 3)), 1, 2)  # what diffusion made of it
    fused = fuse_text(whole, original, [LINE], restoring(invented), unchanged)
    assert (fused.kept, fused.refused) == (0, 1)
    inside = (slice(2 * 67, 2 * 132), slice(2 * 42, 2 * 558))
    plain = enlarged(original)
    off = (fused.image - plain)[inside]
    assert np.abs(off - off.mean((0, 1))).max() < 0.02  # but for one tone
    beyond = np.ones(whole.shape[:2], bool)
    beyond[2 * (65 - REACH) : 2 * (135 + REACH), 2 * (40 - REACH) : 2 * (560 + REACH)] = False
    assert np.array_equal(fused.image[beyond], whole[beyond])


def test_each_line_of_a_region_is_judged_by_itself():
    upper, lower = LINE - np.float32((0, 40)), LINE + np.float32((0, 40))

    def two(above, below, softness):
        rows = [np.roll(page(above, softness), -40, 0)[:100], np.roll(page(below, softness), 40, 0)]
        return np.concatenate((rows[0], rows[1][100:]))

    original = two("Bahnhof Altona", "Museum of Art", 6)
    restored = two("Bahnhof Altona", "Muslin of Ants", 0)
    fused = fuse_text(enlarged(original), original, [upper, lower], restoring(restored), unchanged)
    assert (fused.kept, fused.refused) == (1, 1)
    steep = np.abs(np.diff(fused.image.mean(2), axis=1))
    assert steep[: 2 * 90].max() > 3 * steep[2 * 110 :].max()
