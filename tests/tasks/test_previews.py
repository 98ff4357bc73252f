import io
import logging

import numpy as np
import pytest
from PIL import Image as Pictures
from PIL import ImageCms

from storage import colours, preview_files
from storage.settings import settings
from tasks import previews
from tests.storage import icc_profiles


@pytest.fixture
def photo(tmp_path, monkeypatch, read_photo):
    monkeypatch.setenv("PHOTOMEND_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("PHOTOMEND_MIN_FREE_MEGABYTES", "0")
    settings.cache_clear()
    yield read_photo
    settings.cache_clear()


@pytest.fixture
def read_photo(tmp_path):
    from storage import photos
    from storage.formats.safe_open import Limits

    def read(width: int, height: int, shown=None, **values):
        pixels = np.random.default_rng(0).integers(90, 110, (height, width, 3), np.uint8)
        file = tmp_path / "photo.jpg"
        (shown or Pictures.fromarray(pixels)).save(file, quality=95, **values)
        return photos.read(file, Limits.of(settings()))

    return read


def drawn(job_id: int) -> preview_files.Previews:
    return preview_files.of(settings().state_dir, job_id)


def size(file) -> tuple[int, int]:
    with Pictures.open(file) as picture:
        assert picture.format == "WEBP"
        return picture.size


def test_a_photo_is_drawn_with_a_long_side_of_1600_pixels(photo):
    previews.draw_photo(7, photo(2400, 1200))
    assert size(drawn(7).before) == (1600, 800)
    assert size(drawn(7).small) == (400, 200)
    assert drawn(7).after is drawn(7).box is None
    assert drawn(7).before.stat().st_mode & 0o777 == 0o600


def test_a_smaller_photo_is_drawn_as_it_is_and_upright(photo):
    exif = Pictures.Exif()
    exif[0x112] = 6
    previews.draw_photo(7, photo(300, 200, exif=exif))
    assert size(drawn(7).before) == (200, 300)


def test_a_result_is_drawn_whole_and_where_it_changed_most(photo):
    before = photo(2000, 1500)
    mended = before.image.copy()
    mended[1000:1200, 1500:1700] = 1
    previews.draw_result(7, before, mended)
    found = drawn(7)
    assert size(found.before) == size(found.after) == (1600, 1200)
    assert size(found.crop_before) == size(found.crop_after) == (640, 640)
    x, y, width, height = found.box
    assert (round(width * 2000), round(height * 1500)) == (640, 640)
    assert x * 2000 <= 1500 and (x + width) * 2000 >= 1700
    assert y * 1500 <= 1000 and (y + height) * 1500 >= 1200
    assert size(found.small) == (400, 300)
    with Pictures.open(found.small) as small:
        assert np.asarray(small).max() > 240
    with Pictures.open(found.crop_after) as after:
        assert np.asarray(after).max() > 240


def test_a_photo_that_is_drawn_again_loses_the_pictures_of_its_earlier_result(photo):
    before = photo(300, 200)
    previews.draw_result(7, before, before.image)
    previews.draw_photo(7, before)
    found = drawn(7)
    assert found.after is found.crop_before is found.crop_after is found.box is None
    assert found.before and found.small


def test_a_larger_result_is_drawn_at_the_size_of_its_photo(photo):
    before = photo(300, 200)
    previews.draw_result(7, before, np.repeat(np.repeat(before.image, 2, 0), 2, 1))
    assert size(drawn(7).after) == size(drawn(7).crop_after) == (300, 200)


def test_a_photo_in_display_p3_is_shown_in_srgb(photo):
    profile = icc_profiles.wide("Display P3")
    orange = np.full((200, 300, 3), (250, 140, 70), np.uint8)
    opened = [ImageCms.ImageCmsProfile(io.BytesIO(each)) for each in (colours.srgb(), profile)]
    wide = ImageCms.profileToProfile(Pictures.fromarray(orange), *opened)
    assert wide.getpixel((0, 0))[0] < 240
    previews.draw_photo(7, photo(300, 200, shown=wide, icc_profile=profile))
    for file in (drawn(7).before, drawn(7).small):
        with Pictures.open(file) as picture:
            assert "icc_profile" not in picture.info
            assert np.abs(np.asarray(picture).astype(int) - orange[0, 0]).max() < 8


def test_no_picture_is_drawn_without_room_and_the_reason_is_logged_once(photo, monkeypatch, caplog):
    monkeypatch.setenv("PHOTOMEND_MIN_FREE_MEGABYTES", "1000000000")
    settings.cache_clear()
    with caplog.at_level(logging.WARNING):
        for job_id in (7, 8):
            previews.draw_photo(job_id, photo(300, 200))
    assert drawn(7).before is None
    assert [record.message for record in caplog.records if "min_free" in record.message] != []
    assert len(caplog.records) == 1


def test_no_picture_is_drawn_if_the_settings_want_none(photo, monkeypatch):
    monkeypatch.setenv("PHOTOMEND_PREVIEWS_MEGABYTES", "0")
    settings.cache_clear()
    previews.draw_photo(7, photo(300, 200))
    assert not (settings().state_dir / preview_files.FOLDER).exists()
