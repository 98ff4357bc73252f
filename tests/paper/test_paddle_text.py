"""PaddleOCR finds lines of text with the local network, and downloads nothing."""

import socket
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

if find_spec("paddleocr") is None:  # to import it is part of the tests
    pytest.skip("the paper engine's packages are not installed", allow_module_level=True)

from tasks.imaging import text_detection
from tasks.paper.detectors.paddle_text import find_polygons


@pytest.fixture(autouse=True, scope="module")
def _offline():
    def refuse(*_):
        pytest.fail("it asked the internet")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        yield


def page(size=(400, 700), place=(60, 210)):
    made = np.full((*size, 3), 0.9, np.float32)
    cv2.putText(made, "Hello photomend", place, cv2.FONT_HERSHEY_SIMPLEX, 2, (0.1, 0.1, 0.1), 4)
    return made


def box(polygon):
    return *polygon.min(0), *polygon.max(0)


def test_paddle_makes_no_folder_in_the_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    find_polygons(page())
    assert not (tmp_path / ".paddlex").exists()


def test_a_drawn_line_is_found_where_it_is_and_where_rapidocr_finds_it():
    (found,) = find_polygons(page())
    assert found.dtype == np.float32
    assert found.shape == (4, 2)
    assert box(found) == pytest.approx((60, 165, 585, 220), abs=20)
    (other,) = text_detection.find_polygons(page())
    assert np.abs(found - other).max() < 10


def test_a_photo_without_text_has_none():
    assert not find_polygons(skimage.data.coffee().astype(np.float32) / 255)


def test_red_and_blue_are_not_confused():
    """The network was fitted on BGR; letters in only one channel show the order."""
    made = page()
    made[..., :2] = 0.9
    assert len(find_polygons(made)) == 1


@pytest.mark.parametrize("shape", [(1, 1), (8, 900), (40, 50), (70, 4000), (2500, 90)])
def test_any_size_can_be_looked_at(shape):
    assert not find_polygons(np.zeros((*shape, 3), np.float32))


def test_a_line_on_a_tall_strip_is_found():
    strip = np.full((2000, 200, 3), 0.9, np.float32)
    cv2.putText(strip, "Hello", (10, 1000), cv2.FONT_HERSHEY_SIMPLEX, 1.8, (0.1, 0.1, 0.1), 4)
    (found,) = find_polygons(strip)
    assert box(found) == pytest.approx((12, 960, 150, 1004), abs=20)


def test_a_photographed_sign_is_found():
    sign = Path(__file__).parents[2] / "../shared/photos/clear/text/easyocr/french.jpg"
    if not sign.is_file():
        pytest.skip("the shared photographs are not beside this checkout")
    assert find_polygons(cv2.imread(str(sign))[..., ::-1].astype(np.float32) / 255)
