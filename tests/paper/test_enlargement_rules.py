"""The rules of chain A, with given parts: what each part gets, and what the receipt says."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the paper engine needs torch")
for _name in ("diffusers", "safetensors", "spandrel"):
    pytest.importorskip(_name, reason="the paper engine's packages are not installed")

import cv2

from storage.enums import Category, Degradation
from tasks.paper import super_resolution
from tasks.paper.restorers.resolution import Resolution
from tasks.paper.restorers.text_fusion import text_mask
from tasks.paper.super_resolution import MAX_SECONDS, Enlargement, generator_of
from tasks.receipt import Receipt
from tasks.verdict import Verdict

VERDICT = Verdict(dict.fromkeys(Category, 0.25), dict.fromkeys(Degradation, 1.0), True)
PHOTO = np.random.default_rng(0).random((96, 128, 3), np.float32)
LINE = np.float32([(10, 10), (70, 10), (70, 30), (10, 30)])
FOUND = Resolution(1.234, 2)


def enlarged(image, place=None):
    return cv2.resize(image, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC).clip(0, 1)


@pytest.fixture
def built(monkeypatch):
    """Build a chain whose photo has the resolution FOUND."""
    monkeypatch.setattr(super_resolution, "resolution_of", lambda image, scale: FOUND)

    def build(**parts):
        return Enlargement(**{
            "enlarge": enlarged, "find_text": lambda image: [], "enlarge_text": enlarged,
            "gate": lambda before, after, lines: [True for _ in lines],
            "keep_faces": lambda restored, photo: (restored, 0, 0),
            "clean": lambda image, verdict: image / 2, "scale": 2, "nets": "nets", **parts,
        })  # fmt: skip

    return build


def test_the_receipt_states_nets_shrinking_text_and_faces(built):
    faces = []

    def keep_faces(restored, photo):
        faces.append((restored, photo))
        return restored / 2, 3, 4

    receipt = Receipt()
    made = built(keep_faces=keep_faces, find_text=lambda image: [LINE, LINE + 50])(
        PHOTO, VERDICT, receipt
    )
    steps = [{k: v for k, v in step.items() if k != "seconds"} for step in receipt.steps]
    assert steps == [
        {"step": "find text", "lines": 2},
        {"step": "restore the whole image", "nets": "nets", "shrunk_by": 1.23},
        {"step": "restore text and fuse", "kept": 2, "refused": 0},
        {"step": "keep faces", "restored": 3, "own": 4},
    ]
    [(restored, photo)] = faces
    assert photo is PHOTO
    assert np.array_equal(made, restored / 2)
    assert np.array_equal(receipt.text, text_mask((96, 128), [LINE, LINE + 50], 1))
    assert receipt.generative is True


def test_each_part_gets_the_photo_and_the_resolution(built):
    given = []
    built(
        find_text=lambda image: given.append(image) or [LINE],
        seconds=lambda image, resolution: given.extend((image, resolution)) or 0.0,
    )(PHOTO, VERDICT, Receipt())  # fmt: skip
    assert given[0] is given[1] is PHOTO
    assert given[2] == FOUND


@pytest.mark.parametrize(
    ("seconds", "why"), [(MAX_SECONDS, None), (MAX_SECONDS + 1, "1.0"), (9000.0, "2.5")]
)
def test_a_photo_may_take_an_hour_and_not_more(built, seconds, why):
    receipt, given = Receipt(), []

    def clean(image, verdict):
        given.append((image, verdict))
        return image / 2

    made = built(clean=clean, seconds=lambda image, resolution: seconds)(PHOTO, VERDICT, receipt)
    assert made.shape == (192, 256, 3)
    assert receipt.generative == (why is None)
    if why is not None:
        words = f"clean the whole image, which would take {why} hours on this device"
        assert [step["step"] for step in receipt.steps] == ["find text", words]
        assert given == [(PHOTO, VERDICT)]
        assert made.max() < 0.6


def test_the_noise_of_each_tile_never_changes():
    """Another seed would give another result for a photo that is mended again."""
    seeds = {
        place: generator_of(place).initial_seed()
        for place in [(0, 0), (0, 448), (448, 0), (70_000, 1)]
    }
    assert seeds == {
        (0, 0): 250_605_450, (0, 448): 250_605_898, (448, 0): 279_965_578,
        (70_000, 1): 543_158_155,
    }  # fmt: skip
