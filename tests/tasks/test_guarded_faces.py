"""The guard keeps no change that makes another face of one."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import skimage.data

from storage.enums import Category
from tasks.guard import judge
from tasks.guarding.faces import find_faces
from tasks.imaging.light import luma
from tasks.lite.tiled_net import restored

PHOTO = skimage.data.astronaut().astype(np.float32) / 255
[FACE] = find_faces(luma(PHOTO))


def test_faces_are_found_alike_in_several_threads():
    """A trial judges several crops at once; the cascade keeps the image that it searches."""
    crops = [np.ascontiguousarray(np.roll(luma(PHOTO), shift, 1)) for shift in range(0, 80, 10)]
    alone = [find_faces(crop) for crop in crops]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            assert list(pool.map(find_faces, crops)) == alone


def judged(after, before=PHOTO, category=Category.SUPER_RESOLUTION):
    return judge(before, after.astype(np.float32), category)


def with_face(face):
    changed = PHOTO.copy()
    changed[FACE] = face
    return changed


def test_the_face_of_a_portrait_is_found_and_none_where_there_is_none():
    eyes = (slice(105, 125), slice(195, 255))
    assert FACE[0].start < eyes[0].start < eyes[0].stop < FACE[0].stop
    assert FACE[1].start < eyes[1].start < eyes[1].stop < FACE[1].stop
    coffee = skimage.data.coffee().astype(np.float32) / 255
    assert list(find_faces(luma(coffee))) == []


def test_another_face_is_not_kept():
    other = PHOTO[FACE][:, ::-1]
    found = judged(with_face(other))
    assert found.figures["face_changed"] > 0.03
    assert not found.kept or np.allclose(found.image[FACE], PHOTO[FACE], atol=0.02)


def test_features_that_moved_are_not_kept():
    shift = (FACE[1].stop - FACE[1].start) // 10
    found = judged(with_face(np.roll(PHOTO, shift, 1)[FACE]))
    assert found.figures["face_changed"] > 0.03


def test_a_face_without_its_noise_stays_the_same_one():
    noise = np.random.default_rng(0).normal(0, 20 / 255, PHOTO.shape)
    noisy = np.clip(PHOTO + noise, 0, 1).astype(np.float32)
    found = judged(restored(noisy, "noise"), noisy)
    assert found.kept
    assert found.figures["face_changed"] < 0.01


def test_a_face_may_become_sharp_again_after_a_movement():
    kernel = np.full((1, 9), 1 / 9, np.float32)
    moved = cv2.filter2D(PHOTO, -1, kernel)
    found = judged(PHOTO, moved, Category.MOTION_BLUR)
    assert found.figures["face_changed"] < 0.05
