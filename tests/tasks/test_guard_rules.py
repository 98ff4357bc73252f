"""The rules of the guard, with given figures: what is beyond a limit is refused or faded."""

import cv2
import numpy as np
import pytest

from storage.enums import Category
from tasks import guard
from tasks.guard import MIN_CHANGE, MIN_CHANGE_LEFT, judge
from tasks.guarding import limits

CLEANING, REFLECTION, MOVEMENT, _ = Category
CATEGORIES = (CLEANING, REFLECTION, MOVEMENT)
BEFORE = np.full((256, 320, 3), 0.4, np.float32)
AFTER = BEFORE + np.float32(8 / 255)
GRID = (8, 10)
WHOLE = [(category, name) for category in CATEGORIES for name in limits.WHOLE[category]]
BLOCKS = [(category, name) for category in CATEGORIES for name in limits.BLOCKS[category]]


@pytest.fixture
def measure(monkeypatch):
    """Set the figures; those that are not named are at their limits."""
    seen = []

    def set_(category, *, blocks=None, **others):
        whole = {
            name: limit.least if limit.most is None else limit.most
            for name, limit in limits.WHOLE[category].items()
        }
        maps = {
            name: np.full(GRID, limit.most, np.float32)
            for name, limit in limits.BLOCKS[category].items()
        }
        monkeypatch.setattr(
            guard.figures, "of_whole", lambda views: seen.append(views) or whole | others
        )
        monkeypatch.setattr(guard.figures, "of_blocks", lambda views: maps | (blocks or {}))
        return seen

    return set_


def beyond(limit):
    return limit.least - 0.0123456 if limit.most is None else limit.most + 0.0123456


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_result_whose_figures_are_at_their_limits_is_kept(measure, category):
    measure(category)
    judgement = judge(BEFORE, AFTER, category)
    assert (judgement.kept, judgement.failed) == (True, None)
    assert judgement.reason == "better than the original"
    assert judgement.image is AFTER
    assert judgement.figures["kept_share"] == judgement.figures["change_left"] == 1
    names = {*limits.WHOLE[category], *limits.BLOCKS[category], "kept_share", "change_left"}
    assert set(judgement.figures) == names


@pytest.mark.parametrize(("category", "name"), WHOLE)
def test_a_result_with_one_figure_beyond_its_limit_is_refused_by_its_name(measure, category, name):
    limit = limits.WHOLE[category][name]
    measure(category, **{name: beyond(limit)})
    judgement = judge(BEFORE, AFTER, category)
    assert (judgement.kept, judgement.failed) == (False, name)
    assert judgement.reason == limit.sentence(beyond(limit))
    assert judgement.image is BEFORE
    assert judgement.figures[name] == round(beyond(limit), 4)
    invented = name in limits.INVENTED
    assert judge(BEFORE, AFTER, category, generative=True).kept == invented


@pytest.mark.parametrize(("category", "name"), BLOCKS)
def test_a_block_beyond_a_limit_is_left_as_it_was(measure, category, name):
    limit = limits.BLOCKS[category][name]
    figure = np.full(GRID, limit.most, np.float32)
    figure[1, 1] = limit.most + 1
    measure(category, blocks={name: figure})
    judgement = judge(BEFORE, AFTER, category)
    assert (judgement.kept, judgement.failed) == (True, None)
    assert judgement.figures[name] == round(limit.most + 1, 4)
    assert 0.7 < judgement.figures["change_left"] < judgement.figures["kept_share"] < 1
    left = f"{1 - judgement.figures['kept_share']:.0%}"
    assert judgement.reason == f"better than the original; {left} of the photo left as it was"
    assert judgement.image[44:52, 44:52] == pytest.approx(0.4, abs=0.002)
    assert np.array_equal(judgement.image[-64:, -64:], AFTER[-64:, -64:])
    generous = judge(BEFORE, AFTER, category, generative=True)
    assert (generous.image is AFTER) == (name in limits.INVENTED)


def test_a_result_that_keeps_too_little_of_its_change_is_refused_by_what_took_most(measure):
    everywhere = np.full(GRID, 9.0, np.float32)
    corner = np.zeros(GRID, np.float32)
    corner[0, 0] = 99
    measure(CLEANING, blocks={"texture_lost": everywhere, "overshoot": corner})
    judgement = judge(BEFORE, AFTER, CLEANING)
    assert (judgement.kept, judgement.failed) == (False, "texture_lost")
    assert judgement.reason == (
        "the share of texture that is lost is 9.00, at most 0.3 allowed, in most of the change"
    )
    assert judgement.image is BEFORE
    assert judgement.figures["change_left"] == judgement.figures["kept_share"] == 0


def test_what_counts_is_the_share_of_the_changes_energy(measure):
    half = np.zeros(GRID, np.float32)
    half[:, :5] = 9
    measure(CLEANING, blocks={"texture_lost": half})
    left, right = AFTER.copy(), AFTER.copy()
    left[:, 192:], right[:, :192] = BEFORE[:, 192:], BEFORE[:, :192]
    assert judge(BEFORE, left, CLEANING).failed == "texture_lost"
    kept = judge(BEFORE, right, CLEANING)
    assert kept.kept and kept.figures["change_left"] > 0.8 > kept.figures["kept_share"]
    # the named figure is the one in whose blocks most of the change was
    corner = np.zeros(GRID, np.float32)
    corner[:, 7:] = 9
    measure(CLEANING, blocks={"texture_lost": half, "overshoot": 9 + 9 * corner})
    assert judge(BEFORE, left, CLEANING).failed == "texture_lost"


@pytest.mark.parametrize(("columns", "kept"), [(5, True), (6, False)])
def test_a_third_of_the_change_is_enough(measure, columns, kept):
    figure = np.zeros(GRID, np.float32)
    figure[:, :columns] = 9
    measure(CLEANING, blocks={"texture_lost": figure})
    judgement = judge(BEFORE, AFTER, CLEANING)
    assert judgement.kept == kept == (judgement.figures["change_left"] >= MIN_CHANGE_LEFT)


@pytest.mark.parametrize(("change", "kept"), [(0.98, False), (1.02, True)])
@pytest.mark.parametrize("sign", [-1, 1])
def test_the_smallest_change_is_one_level_of_one_pixel(measure, change, kept, sign):
    measure(CLEANING)
    after = BEFORE.copy()
    after[3, 4, 1] += np.float32(sign * change * MIN_CHANGE)
    judgement = judge(BEFORE, after, CLEANING)
    assert judgement.kept == kept
    if not kept:
        assert (judgement.failed, judgement.reason) == ("change", "nothing changed")
        assert judgement.image is BEFORE
        assert judgement.figures == {}


def test_a_change_that_is_small_everywhere_is_none(measure):
    measure(CLEANING)
    judgement = judge(BEFORE, BEFORE + np.float32(0.9 * MIN_CHANGE), CLEANING)
    assert (judgement.kept, judgement.failed) == (False, "change")


SIZES = [
    (1, (256, 320, 3), True), (2, (512, 640, 3), True), (4, (1024, 1280, 3), True),
    (1, (255, 320, 3), False), (1, (256, 319, 3), False), (1, (320, 256, 3), False),
    (1, (512, 640, 3), False), (2, (256, 320, 3), False), (2, (512, 320, 3), False),
    (1, (256, 320, 4), False), (1, (256, 320), False),
]  # fmt: skip


@pytest.mark.parametrize(("scale", "shape", "right"), SIZES)
def test_a_result_of_another_size_is_refused(measure, scale, shape, right):
    measure(CLEANING)
    judgement = judge(BEFORE, np.full(shape, 0.45, np.float32), CLEANING, scale=scale)
    assert judgement.kept == right
    if not right:
        given, wanted = f"{shape[1]}x{shape[0]}", f"{320 * scale}x{256 * scale}"
        assert judgement.failed == "pixels"
        assert judgement.reason == f"the result is {given} pixels instead of {wanted}"
        assert judgement.image is BEFORE
        assert judgement.figures == {}


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (np.nan, "not finite"), (np.inf, "not finite"), (-np.inf, "not finite"),
        (-0.002, "are -0.002 to 0.431, outside 0 to 1"), (1.002, "are 0.431 to 1.002, outside"),
    ],
)  # fmt: skip
def test_pixels_that_no_image_has_are_refused(measure, value, fault):
    measure(CLEANING)
    broken = AFTER.copy()
    broken[5, 6, 2] = value
    judgement = judge(BEFORE, broken, CLEANING)
    assert (judgement.kept, judgement.failed) == (False, "pixels")
    assert fault in judgement.reason
    assert judgement.image is BEFORE


@pytest.mark.parametrize("edge", [0.0, 1.0])
def test_black_and_white_are_in_range(measure, edge):
    measure(CLEANING)
    after = AFTER.copy()
    after[5, 6] = edge
    assert judge(BEFORE, after, CLEANING).kept


def test_an_enlarged_result_is_compared_at_the_size_of_the_photo(measure):
    seen = measure(CLEANING)
    text = np.ones(BEFORE.shape[:2], np.float32)
    after = np.repeat(np.repeat(AFTER, 2, 0), 2, 1)
    judgement = judge(BEFORE, after, CLEANING, scale=2, text=text)
    assert judgement.kept and judgement.image is after
    [views] = seen
    assert views.before is BEFORE
    assert views.after == pytest.approx(AFTER)
    assert views.after.shape == BEFORE.shape
    assert (views.category, views.text is text) == (CLEANING, True)


def test_an_enlarged_result_is_averaged_not_sampled(measure):
    seen = measure(CLEANING)
    rings = np.ones((4, 4, 1), np.float32)
    rings[1:3, 1:3] = 0  # what the pixels in the middle would give
    judge(BEFORE, np.tile(rings, (256, 320, 3)), CLEANING, scale=4)
    assert seen[0].after == pytest.approx(0.75, abs=1e-6)


def test_a_faded_enlarged_result_has_its_own_size(measure):
    figure = np.zeros(GRID, np.float32)
    figure[1, 1] = 9
    measure(CLEANING, blocks={"texture_lost": figure})
    after = cv2.resize(AFTER, None, fx=2, fy=2)
    judgement = judge(BEFORE, after, CLEANING, scale=2)
    assert judgement.image.shape == after.shape
    assert judgement.image[90:100, 90:100] == pytest.approx(0.4, abs=0.002)
    assert np.array_equal(judgement.image[-128:, -128:], after[-128:, -128:])
