"""Faces are found, aligned and put back, and a net that changes nothing changes no bit."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image as Pictures

torch = pytest.importorskip("torch", reason="the paper engine needs torch")
safetensors = pytest.importorskip("safetensors.numpy", reason="the golden tensors need safetensors")

from tasks.paper.detectors.faces import Face, FindFaces
from tasks.paper.restorers import alignment
from tasks.paper.restorers.alignment import FaceRefused
from tasks.paper.restorers.faces import MendFaces

SHARED = Path(__file__).parents[2] / "../shared"
PHOTO = skimage.data.astronaut().astype(np.float32) / 255
CPU = torch.device("cpu")
GREY_LEVELS = 3
"""Between OpenCV's versions, whose warping rounds differently."""


def shared(path):
    if not (SHARED / path).exists():
        pytest.skip("the shared files are not beside this checkout")
    return SHARED / path


@pytest.fixture(scope="module")
def find():
    return FindFaces(shared("weights/yunet_n_640.onnx"))


@pytest.fixture(scope="module")
def golden():
    return safetensors.load_file(shared("parity/faces_paste.safetensors"))


def read(path):
    with Pictures.open(path) as picture:
        return np.asarray(picture.convert("RGB"), np.float32) / 255


def red_first(pixels):
    return np.ascontiguousarray(pixels[..., ::-1]).astype(np.float32) / 255


def turned(points, factor, degrees, shift):
    """Return the points of a face that was scaled, rotated and moved."""
    turn = cv2.getRotationMatrix2D((256, 256), degrees, factor)
    return points @ turn[:, :2].T + turn[:, 2] + shift


def at(points):
    return lambda image: [Face(points, (0, 0, 1, 1), 0.9)]


def unchecked(given, made):
    """Accept any face, to test how it is put back."""


def mend(image, points, net):
    return MendFaces(at(points), net, CPU, unchecked)(image)


SMALL = turned(alignment.TEMPLATE, 0.4, 20, (20, -60))


@pytest.mark.parametrize("case, index", [("a", 0), ("b", 0), ("b", 1), ("c", 0)])
def test_faces_are_aligned_as_published(golden, case, index):
    image = red_first(golden.get(f"{case}.image_resized", golden[f"{case}.image"]))
    affine = alignment.fit(golden[f"{case}.landmarks"][index])
    assert np.abs(affine - golden[f"{case}.affine"][index]).max() < 1e-3
    expected = golden[f"{case}.crops"][index][..., ::-1]
    assert np.abs(255 * alignment.crop(image, affine) - expected).max() <= GREY_LEVELS


@pytest.mark.parametrize("case, scale", [("a", 1), ("b", 2), ("c", 1)])
def test_the_published_paste_is_the_authors(golden, case, scale):
    image = golden.get(f"{case}.image_resized", golden[f"{case}.image"])
    if case == "b":  # a given background is enlarged by the published program
        size = tuple(scale * side for side in image.shape[1::-1])
        image = cv2.resize(255 - image, size, interpolation=cv2.INTER_LANCZOS4)
    pasted = red_first(image)
    landmarks, crops = golden[f"{case}.landmarks"], golden[f"{case}.crops"]
    for points, aligned in zip(landmarks, crops, strict=True):
        pasted = alignment.paste(pasted, red_first(255 - aligned), alignment.fit(points), scale)
    expected = golden[f"{case}.pasted"][..., ::-1]
    assert pasted.shape == expected.shape
    assert np.abs(np.floor(255 * pasted) - expected).max() <= GREY_LEVELS


def test_the_golden_file_says_what_is_compared(golden):
    with safetensors.safe_open(SHARED / "parity/faces_paste.safetensors", "np") as file:
        assert json.loads(file.metadata()["config"])["args"]["use_parse"] is False


def test_a_net_that_changes_nothing_changes_no_bit():
    mended, restored, refused = mend(PHOTO, SMALL, lambda face: face)
    assert mended.tobytes() == PHOTO.tobytes()
    assert (restored, refused) == (0, ["nothing to change"])


def test_only_the_face_changes():
    mended, restored, _ = mend(0.8 * PHOTO, SMALL, lambda face: face + 0.2)
    assert restored == 1
    change = mended - np.float32(0.8) * PHOTO
    eyes_and_mouth = np.rint(SMALL).astype(int)
    assert np.allclose(change[eyes_and_mouth[:, 1], eyes_and_mouth[:, 0]], 0.1, atol=0.01)
    assert change.min() > -1e-4  # cubic interpolation swings below
    assert (change == 0).all(2).mean() > 0.8
    assert max(np.abs(np.diff(change, axis=axis)).max() for axis in (0, 1)) < 0.02  # fades out


@pytest.mark.parametrize("factor", [0.15, 0.4, 0.7])
def test_what_the_net_draws_comes_to_its_place(factor):
    """A net that returns the clean face removes noise, down to single pixels."""
    points = turned(alignment.TEMPLATE, factor, 17, (0.3, -0.4))
    right = cv2.GaussianBlur(PHOTO, (0, 0), 1)
    noise = np.random.default_rng(3).normal(0, 0.08, PHOTO.shape)
    spoilt = np.clip(right + noise, 0, 1).astype(np.float32)
    drawn = alignment.crop(right, alignment.align(points), cv2.INTER_CUBIC)

    def net(face):
        return torch.from_numpy(2 * drawn - 1).permute(2, 0, 1)[None]

    mended, _, refused = MendFaces(at(points), net, CPU)(spoilt)
    assert refused == []  # as it is the same face
    reach = int(80 * factor)
    x, y = np.rint(points.mean(0)).astype(int)
    face = np.s_[y - reach : y + reach, x - reach : x + reach]
    assert np.abs(mended - right)[face].mean() < 0.2 * np.abs(spoilt - right)[face].mean()


def test_the_net_is_given_what_it_knows():
    given = []

    def net(face):
        given.append(face)
        return face

    mend(PHOTO, SMALL, net)
    [face] = given
    assert face.shape == (1, 3, 512, 512)
    assert face.dtype == torch.float32
    assert -1 <= face.min() < -0.5 < 0.5 < face.max() <= 1


@pytest.mark.parametrize(
    "points, why",
    [
        (turned(alignment.TEMPLATE, 0.06, 0, (0, 0)), "too small"),
        (turned(alignment.TEMPLATE, 1.6, 0, (0, 0)), "too large"),
        (np.full((5, 2), 100.0), "no face"),
        (np.full((5, 2), np.nan), "no face"),
        (alignment.TEMPLATE * (0.15, 1), "in profile"),
    ],
)
def test_a_face_that_the_net_cannot_help_is_left_alone(points, why):
    def net(face):
        raise AssertionError("it must not run")

    mended, restored, refused = mend(PHOTO, points, net)
    assert mended.tobytes() == PHOTO.tobytes()
    assert (restored, refused) == (0, [why])


def test_a_face_that_is_no_numbers_is_not_laid_back():
    mended, _, refused = mend(PHOTO, SMALL, lambda face: face * float("nan"))
    assert mended.tobytes() == PHOTO.tobytes()
    assert refused == ["not finite"]


def test_a_face_that_is_another_one_is_not_laid_back():
    def refuse(given, made):
        assert given.shape == made.shape == (512, 512, 3)
        assert np.allclose(made, (1 + given) / 2, atol=1e-6)
        raise FaceRefused("other features")

    mended, _, refused = MendFaces(at(SMALL), lambda face: (1 + face) / 2, CPU, refuse)(PHOTO)
    assert mended.tobytes() == PHOTO.tobytes()
    assert refused == ["other features"]


def test_each_face_has_its_own_fate():
    points = [turned(alignment.TEMPLATE, 0.06, 0, (0, 0)), SMALL, alignment.TEMPLATE * (0.15, 1)]
    found = [Face(one, (0, 0, 1, 1), 0.9) for one in points]
    mended, restored, refused = MendFaces(lambda image: found, lambda f: 0.9 * f, CPU)(PHOTO)
    assert (restored, refused) == (1, ["too small", "in profile"])
    assert (mended != PHOTO).any()


def test_a_faithful_paste_is_the_published_one():
    mended, restored, _ = MendFaces(at(SMALL), lambda f: 0.9 * f, CPU, faithful=True)(PHOTO)
    affine = alignment.align(SMALL)
    face = 0.9 * (alignment.crop(PHOTO, affine) - 0.5) + 0.5
    assert restored == 1
    assert np.abs(mended - alignment.paste(PHOTO, face, affine)).max() < 1e-5


def test_a_grey_photo_stays_grey():
    grey = np.repeat(PHOTO.mean(2, keepdims=True), 3, 2)
    colours = torch.tensor([0.3, 0.0, -0.1])[:, None, None]
    mended, _, _ = mend(grey, SMALL, lambda face: face + colours)
    assert np.abs(mended - grey).max() > 0.02
    assert np.ptp(mended, axis=2).max() < 1e-6


@pytest.mark.parametrize("shift", [(-300, 0), (300, 200), (5000, 5000)])
def test_a_face_that_reaches_out_of_the_photo_is_laid_back_as_far_as_it_is_inside(shift):
    mended, _, _ = mend(0.8 * PHOTO, SMALL + shift, lambda face: face + 0.2)
    assert mended.shape == PHOTO.shape
    assert np.isfinite(mended).all()
    assert (mended != 0.8 * PHOTO).any() == (shift != (5000, 5000))


def test_real_faces_are_found_and_aligned(find):
    """In the aligned crop, the detector finds the face again, and its eyes on the template's."""
    pictures = sorted(shared("photos/research/faces").rglob("*.*g"))
    assert len(pictures) >= 16
    for path in pictures:
        image = read(path)
        found = find(image)
        assert 1 <= len(found) <= 2, path
        for face in found:
            left, top, right, bottom = face.box
            assert np.all((face.points > (left, top)) & (face.points < (right, bottom)))
            aligned = alignment.crop(image, alignment.align(face.points))
            again = find(aligned)[0]
            assert np.abs(again.points - alignment.TEMPLATE)[:2].max() < 30, path


def test_no_bit_of_a_photograph_changes_by_a_net_that_changes_nothing(find):
    for path in sorted(shared("photos/research/faces/codeformer/whole_imgs").iterdir()):
        image = read(path)
        mended, restored, refused = MendFaces(find, lambda face: face, CPU)(image)
        assert mended.tobytes() == image.tobytes(), path
        assert restored == 0
        assert set(refused) == {"nothing to change"}


def test_the_faces_of_a_photograph_are_mended(find):
    image = read(shared("photos/research/faces/codeformer/whole_imgs/06.png"))
    mended, restored, _ = MendFaces(find, lambda face: face.flip(-1), CPU, unchecked)(image)
    assert restored == 2
    for face in find(image):
        left, top, right, bottom = (int(side) for side in face.box)
        assert np.abs(mended - image)[top:bottom, left:right].mean() > 0.02
    assert mended[:20].tobytes() == image[:20].tobytes()


def test_points_are_those_of_the_whole_photo_also_when_a_copy_is_looked_at(find):
    image = read(shared("photos/research/faces/codeformer/whole_imgs/06.png"))
    large = cv2.resize(image, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    small, enlarged = (sorted(find(one), key=lambda f: f.box) for one in (image, large))
    assert len(small) == len(enlarged) == 2
    for one, other in zip(small, enlarged, strict=True):
        eyes = np.hypot(*(other.points[1] - other.points[0]))
        assert np.abs(4 * (one.points + 0.5) - 0.5 - other.points).max() < 0.08 * eyes


@pytest.mark.parametrize("shape", [(1, 1), (7, 300), (20, 300), (10, 4000), (2000, 60)])
def test_any_size_without_a_face_has_none(find, shape):
    assert find(np.full((*shape, 3), 0.5, np.float32)) == []


def test_a_photo_without_people_has_no_faces(find):
    assert find(skimage.data.coffee().astype(np.float32) / 255) == []
