"""A net that repaints a photo changes no face, or only one that stays the same."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

torch = pytest.importorskip("torch", reason="the paper engine needs torch")

from tasks.evaluation.metrics import psnr
from tasks.paper.detectors.faces import FindFaces
from tasks.paper.restorers.kept_faces import KeepFaces

YUNET = Path(__file__).parents[2] / "../shared/weights/yunet_n_640.onnx"
PHOTO = cv2.GaussianBlur(skimage.data.astronaut().astype(np.float32) / 255, (0, 0), 1.0)


@pytest.fixture(scope="module")
def find():
    if not YUNET.is_file():
        pytest.skip("the shared files are not beside this checkout")
    return FindFaces(YUNET)


@pytest.fixture(scope="module")
def face(find):
    """The rows and columns of the only face."""
    [found] = find(PHOTO)
    left, top, right, bottom = (int(side) for side in found.box)
    return slice(top, bottom), slice(left, right)


def enlarged(image, scale):
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC).clip(0, 1)


@pytest.mark.parametrize("scale", [1, 2])
def test_a_repainted_face_is_given_back(find, face, scale):
    painted = enlarged(np.roll(PHOTO, 40, 1), scale)
    made, restored, own = KeepFaces(find)(painted.copy(), PHOTO)
    assert (restored, own) == (0, 1)
    inside = tuple(slice(scale * side.start, scale * side.stop) for side in face)
    assert np.abs(made - enlarged(PHOTO, scale))[inside].max() < (1e-5 if scale == 1 else 0.1)
    assert (made == painted).all(2).mean() > 0.8  # all else is the net's


def test_a_face_fades_into_what_the_net_made(find, face):
    painted = PHOTO + np.float32(0.2)
    made, _, _ = KeepFaces(find)(painted.copy(), PHOTO)
    share = (painted - made).max(2) / 0.2
    assert max(np.abs(np.diff(share, axis=axis)).max() for axis in (0, 1)) < 0.12


def test_even_a_better_face_is_given_back_if_faces_are_not_allowed(find, face):
    sharp = skimage.data.astronaut().astype(np.float32) / 255
    made, restored, own = KeepFaces(find)(sharp.copy(), PHOTO)
    assert (restored, own) == (0, 1)
    assert np.abs(made - PHOTO)[face].max() < 1e-6


def test_with_faces_allowed_the_same_face_stays_and_another_does_not(find, face):
    keep = KeepFaces(find, allowed=True)
    sharp = skimage.data.astronaut().astype(np.float32) / 255
    made, restored, own = keep(sharp.copy(), PHOTO)
    assert (restored, own) == (1, 0)
    assert np.array_equal(made, sharp)
    other = sharp.copy()
    other[face] = other[face][:, ::-1] ** 2
    made, restored, own = keep(other, PHOTO)
    assert (restored, own) == (0, 1)
    assert psnr(made[face], PHOTO[face]) > 60


def test_a_photo_without_a_face_comes_back_as_it_is(find):
    photo = skimage.data.coffee().astype(np.float32) / 255
    restored = enlarged(photo, 2)
    made, *counts = KeepFaces(find)(restored, photo)
    assert made is restored
    assert counts == [0, 0]
