"""The sheet with photos before and after."""

import numpy as np
import pytest
from PIL import Image as Picture

from daemon.reports import contact_sheet
from daemon.reports.contact_sheet import CELL, GAP, HEADING, LINE, TOP, Strip


def drawn(tmp_path, shape):
    """Draw a grey photo whose lower right corner is brighter afterwards."""
    before = np.full((*shape, 3), 0.5, np.float32)
    after = before.copy()
    after[-100:, -100:] = 0.9
    file = tmp_path / "sheet.png"
    contact_sheet.write([Strip("a.jpg: shaken", ("before", "after"), (before, after))], file)
    with Picture.open(file) as sheet:
        return np.asarray(sheet.convert("RGB")).astype(int)


def is_red(pixels):
    return (pixels[..., 0] > 250) & (pixels[..., 1] < 5)


@pytest.mark.parametrize("shape", [(600, 800), (2400, 330), (4000, 6000)])
def test_a_frame_in_the_whole_photo_is_where_most_changed(tmp_path, shape):
    sheet = drawn(tmp_path, shape)
    top, scale = TOP + LINE + HEADING, CELL / max(shape)
    rows, columns = np.nonzero(is_red(sheet))
    side = [min(CELL, length) * scale for length in shape]
    assert rows.max() - rows.min() == pytest.approx(side[0], abs=2)
    assert columns.max() - columns.min() == pytest.approx(side[1], abs=2)
    low, right = rows.max() - top, columns.max() - GAP
    step = CELL // 4 * scale  # parts are tried in such steps
    assert shape[0] * scale - step - 2 <= low <= shape[0] * scale
    assert shape[1] * scale - step - 2 <= right <= shape[1] * scale
    parts = sheet[top + 10 : top + 20, GAP + CELL + GAP + 10 :]
    assert (parts[:, :100] == 128).all()


def test_a_photo_that_is_shown_whole_needs_no_frame(tmp_path):
    sheet = drawn(tmp_path, (CELL, CELL))
    assert not is_red(sheet).any()
    assert sheet.shape[1] == 2 * (2 * (CELL + GAP) + GAP)
