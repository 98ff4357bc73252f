"""A photo is shown at native resolution, and the prompt is the paper's."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from storage.enums import Category
from tasks.paper.classifier.prompt import LETTERS, PROMPT, named_category, question, token_category
from tasks.paper.classifier.views import CROP, OVERVIEW_PIXELS, WHOLE_PIXELS, views

PAPER = Path(__file__).parents[3] / "../shared/paper.txt"


def photo(height, width, seed=0):
    return np.random.default_rng(seed).random((height, width, 3), np.float32)


def place(picture, image):
    """Return the position of a picture in an image; None if it is not a crop of it."""
    coded = np.rint(255 * image.clip(0, 1)).astype(np.uint8)
    height, width = picture.shape[:2]
    rows, columns = coded.shape[0] - height + 1, coded.shape[1] - width + 1
    fits = np.ones((rows, columns), bool)
    for y, x in ((0, 0), (height // 2, width // 3), (height - 1, width - 1)):
        fits &= (coded[y : y + rows, x : x + columns] == picture[y, x]).all(-1)
    for top, left in np.argwhere(fits).tolist():
        if np.array_equal(coded[top : top + height, left : left + width], picture):
            return top, left
    return None


def test_the_prompt_is_the_papers_word_for_word():
    if not PAPER.is_file():
        pytest.skip("the paper is not beside this checkout")
    assert PROMPT in PAPER.read_text()


def test_the_letters_are_those_of_the_prompt():
    named = re.findall(r"([A-D])\. ([A-Z]\S+)", PROMPT)
    assert [sign for sign, _ in named] == list(LETTERS)
    assert set(LETTERS.values()) == set(Category)
    assert dict(named)["C"] == "Motion" and LETTERS["C"] is Category.MOTION_BLUR


def test_several_pictures_get_an_explanation_in_front_of_the_same_prompt():
    assert question(1) == PROMPT
    assert question(5).endswith(PROMPT) and len(question(5)) > len(PROMPT)


@pytest.mark.parametrize("token", ["A", " A", "\nA", "**A", "(A", '"A'])
def test_a_letter_is_recognised_in_all_spellings(token):
    assert token_category(token) is Category.SUPER_RESOLUTION


@pytest.mark.parametrize("token", ["a", "An", "AB", "", " ", "E", "A.B"])
def test_a_token_that_is_not_one_letter_has_no_category(token):
    assert token_category(token) is None


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("C", Category.MOTION_BLUR),
        ("**B**", Category.REFLECTION),
        ("A. Super-resolution degradation (including noise)", Category.SUPER_RESOLUTION),
        ("The answer is D.", Category.CLEAN),
        ("(C) Motion blur", Category.MOTION_BLUR),
        ("A photo with motion blur: C", Category.MOTION_BLUR),
        ("A, B, C, or D", None),
        ("It could be A or B.", None),
        ("A photo of a dog", None),
        ("I cannot tell.", None),
        ("ABCD", None),
        ("", None),
    ],
)
def test_an_answer_has_a_category_only_if_it_names_exactly_one(text, category):
    assert named_category(text) is category


def test_a_small_photo_is_shown_whole_in_its_own_pixels():
    image = photo(600, 801)
    (shown,) = views(image)
    assert shown.shape == (588, 784, 3)
    assert np.array_equal(shown, np.rint(255 * image[:588, :784]).astype(np.uint8))


def test_a_large_photo_is_shown_by_an_overview_and_parts_in_their_own_pixels():
    image = photo(1500, 2000)
    overview, *parts = views(image)
    assert overview.shape[0] * overview.shape[1] <= OVERVIEW_PIXELS
    assert overview.shape[1] / overview.shape[0] == pytest.approx(2000 / 1500, rel=0.01)
    assert len(parts) == 5
    assert all(part.shape == (CROP, CROP, 3) for part in parts)
    assert all(place(part, image) for part in parts)


def test_the_parts_are_the_flattest_the_most_textured_the_brightest_the_darkest_and_the_middle():
    image = 0.45 + 0.1 * photo(2000, 2000)
    image[1552:, :448] = 0.5 + 0.02 * photo(448, 448)
    image[:448, :448] = 0.1 + 0.8 * photo(448, 448)
    image[:448, 1552:] += 0.3
    image[1552:, 1552:] -= 0.3
    found = [place(part, image) for part in views(image)[1:]]
    assert found[:4] == [(1552, 0), (0, 0), (0, 1552), (1552, 1552)]
    middle = np.array(found[4]) + CROP / 2 - 1000
    assert np.abs(middle).max() <= CROP / 2


def test_no_two_parts_overlap_by_more_than_half():
    image = cv2.resize(photo(12, 16), (2000, 1500), interpolation=cv2.INTER_CUBIC)
    image += 0.05 * photo(1500, 2000, seed=1)
    found = [place(part, image) for part in views(image)[1:]]
    assert len(found) == 5
    for number, one in enumerate(found):
        for other in found[:number]:
            assert max(abs(one[0] - other[0]), abs(one[1] - other[1])) >= CROP / 2


def test_an_overexposed_crop_is_not_chosen_as_the_brightest():
    image = 0.2 + 0.3 * photo(1500, 2000)
    image[:, 1000:] = 1
    image[600:1100, :500] += 0.3
    brightest = views(image)[3]
    assert brightest.mean() < 250
    assert brightest.mean() > 150


def test_a_faithful_view_is_one_picture_of_the_whole_photo():
    (shown,) = views(photo(1500, 2000), faithful=True)
    assert shown.shape[0] * shown.shape[1] <= WHOLE_PIXELS
    (small,) = views(photo(601, 803), faithful=True)
    assert small.shape == (601, 803, 3)


def test_the_sides_are_multiples_of_the_side_of_a_token():
    for step in (28, 32):
        for picture in (
            views(photo(700, 901), token_pixels=step)
            + views(photo(300, 4000), token_pixels=step)[1:]
        ):
            assert picture.shape[0] % step == picture.shape[1] % step == 0


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 500), (20, 5000), (5000, 20), (3, 60000), (300, 9000)]
)
@pytest.mark.parametrize("faithful", [False, True])
def test_a_photo_of_any_shape_is_shown(size, faithful):
    for picture in views(photo(*size), faithful=faithful):
        assert min(picture.shape[:2]) >= 28
        assert max(picture.shape[:2]) / min(picture.shape[:2]) <= 150
        assert picture.dtype == np.uint8


def test_values_out_of_range_or_not_finite_become_colours():
    image = photo(100, 100)
    image[0, 0], image[1, 1], image[2, 2] = np.nan, 7, -7
    (shown,) = views(image)
    assert shown[1, 1].tolist() == [255] * 3 and shown[2, 2].tolist() == [0] * 3
