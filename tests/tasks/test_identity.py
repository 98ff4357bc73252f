"""A restored face is accepted however blurred it was, and another person's face is refused."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pictures

from tasks.paper.detectors.faces import FindFaces
from tasks.paper.restorers.alignment import FaceRefused, align, crop
from tasks.paper.restorers.identity import MIN_LIKENESS, check, likeness

SHARED = Path(__file__).parents[2] / "../shared"


@pytest.fixture(scope="module")
def aligned():
    """Real faces of 17 pictures, aligned as for a face net."""
    if not SHARED.is_dir():
        pytest.skip("the shared files are not beside this checkout")
    find = FindFaces(SHARED / "weights/yunet_n_640.onnx")
    faces = []
    for path in sorted((SHARED / "photos/research/faces").rglob("*.*g")):
        with Pictures.open(path) as picture:
            image = np.asarray(picture.convert("RGB"), np.float32) / 255
        faces += [crop(image, align(face.points)).clip(0, 1) for face in find(image)]
    assert len(faces) >= 17
    return faces


def moved(face):
    return cv2.filter2D(face, -1, np.eye(21, dtype=np.float32) / 21)


def soft(face):
    return cv2.GaussianBlur(face, (0, 0), 8)


def tiny(face):
    small = cv2.resize(face, (60, 60), interpolation=cv2.INTER_AREA)
    small = small + np.random.default_rng(4).normal(0, 0.04, small.shape)
    _, coded = cv2.imencode(".jpg", np.rint(255 * small.clip(0, 1)), [cv2.IMWRITE_JPEG_QUALITY, 50])
    return cv2.resize(cv2.imdecode(coded, 1), (512, 512)).astype(np.float32) / 255


def sharper(face):
    return (face + 0.7 * (face - cv2.GaussianBlur(face, (0, 0), 4))).clip(0, 1)


@pytest.mark.parametrize("worse", [moved, soft, tiny])
def test_a_face_may_become_sharp_again(aligned, worse):
    for face in aligned:
        check(worse(face), face)


@pytest.mark.parametrize(
    "better", [sharper, lambda face: (0.5 + 1.2 * (face - 0.5)).clip(0, 1)], ids=["sharp", "clear"]
)
def test_a_face_may_become_clearer(aligned, better):
    for face in aligned:
        check(face, better(face))


def test_another_persons_face_is_refused(aligned):
    for number, face in enumerate(aligned):
        blurred = moved(face)
        for other in aligned[:number] + aligned[number + 1 :]:
            assert likeness(blurred, other) < MIN_LIKENESS - 0.05


@pytest.mark.parametrize(
    "spoil, why",
    [
        (lambda face: 1 - face, "other features"),
        (lambda face: np.full_like(face, 0.5), "other features"),
        (lambda face: np.roll(face, 24, 0), "other features"),
        (lambda face: (face + np.float32([0.1, 0, -0.1])).clip(0, 1), "other colours"),
        (lambda face: 0.7 * face, "other colours"),
    ],
    ids=["negative", "flat", "a fifth lower", "warmer", "darker"],
)
def test_a_spoilt_face_is_refused(aligned, spoil, why):
    for face in aligned:
        with pytest.raises(FaceRefused, match=why):
            check(face, spoil(face))
