import io
import time

import numpy as np
import pytest
from PIL import Image, ImageCms

from storage import coded_previews, colours, jail
from tests.storage import icc_profiles

PATCHES = np.array(
    [[[230, 40, 30], [30, 200, 60], [40, 60, 220], [250, 250, 250], [128, 128, 128], [20, 10, 5]]], np.uint8
)  # fmt: skip


def seen_through(profile: bytes, shown: np.ndarray) -> np.ndarray:
    """Return the pixels that show these colours of sRGB in a photo with this profile."""
    opened = [ImageCms.ImageCmsProfile(io.BytesIO(each)) for each in (colours.srgb(), profile)]
    return np.asarray(ImageCms.profileToProfile(Image.fromarray(shown), *opened, outputMode="RGB"))


def difference(one, other) -> int:
    return int(np.abs(one.astype(int) - other.astype(int)).max())


@pytest.mark.parametrize("name", icc_profiles.COLOURS)
def test_a_wide_gamut_is_shown_in_its_colours(name):
    profile = icc_profiles.wide(name)
    pixels = seen_through(profile, PATCHES)
    assert difference(pixels, PATCHES) > 10
    assert difference(colours.to_srgb(pixels, profile), PATCHES) <= 2


def test_red_of_display_p3_is_redder_than_any_of_srgb_and_stays_red():
    found = colours.to_srgb(np.array([[[255, 0, 0]]], np.uint8), icc_profiles.wide("Display P3"))
    assert found.tolist() == [[[255, 0, 0]]]


def test_a_profile_of_grey_is_for_grey_photos():
    pixels = np.full((1, 1, 3), 100, np.uint8)
    linear = (100 / 255) ** 1.0
    expected = 255 * (1.055 * linear ** (1 / 2.4) - 0.055)
    found = colours.to_srgb(pixels, icc_profiles.grey(1.0))
    assert difference(found, np.full((1, 1, 3), round(expected))) <= 2


def test_srgb_stays_as_it_is():
    assert difference(colours.to_srgb(PATCHES, colours.srgb()), PATCHES) <= 1


WIDE = icc_profiles.wide("Adobe RGB")
BROKEN = {
    "none": b"", "short": WIDE[:100], "cut off": WIDE[:200], "other bytes": WIDE[:132] + bytes(len(WIDE) - 132),
    "CMYK": WIDE[:16] + b"CMYK" + WIDE[20:], "many tags": WIDE[:128] + b"\xff" * 4 + WIDE[132:],
    "without colours": icc_profiles.profile(b"RGB ", []), "large": WIDE + bytes(colours.MOST_PROFILE_BYTES),
}  # fmt: skip


@pytest.mark.parametrize("profile", BROKEN.values(), ids=BROKEN)
def test_a_profile_that_cannot_be_used_is_ignored(profile):
    assert difference(colours.to_srgb(PATCHES, profile), PATCHES) == 0


def test_a_profile_that_asks_for_hours_is_ignored():
    start = time.process_time()
    assert difference(colours.to_srgb(PATCHES, icc_profiles.endless(2_000)), PATCHES) == 0
    assert time.process_time() - start < 1


def test_any_changed_byte_of_a_profile_ends_soon():
    random = np.random.default_rng(0)
    start = time.process_time()
    for _ in range(300):
        profile = bytearray(WIDE)
        for at in random.integers(0, len(profile), 3):
            profile[at] = random.integers(256)
        assert colours.to_srgb(PATCHES, bytes(profile)).shape == PATCHES.shape
    assert time.process_time() - start < 20


def test_a_jail_draws_the_same_picture_without_the_profile():
    pixels = np.repeat(np.repeat(seen_through(WIDE, PATCHES), 40, 0), 40, 1)
    with jail.used():
        made = jail.run(coded_previews.picture, pixels, WIDE)
    assert made == coded_previews.picture(pixels, WIDE)
    with Image.open(io.BytesIO(made)) as picture:
        assert "icc_profile" not in picture.info
        assert difference(np.asarray(picture)[20, 20::40], PATCHES[0]) < 12
