"""The weights of each step by name, for each setting that changes them."""

from pathlib import Path

import pytest

from storage import weights
from storage.enums import CLASSIFY, Category, DeblurringNet
from storage.settings_paper import PaperSettings
from storage.weights.catalogue import TABLE
from tasks.engines import (
    missing,
    needed_by,
    needed_if,
    needs,
    own_classifier,
    uses_if_here,
)

A, B, C, CLEAN = Category
NAFNETS = [entry.name for entry in TABLE if entry.name.startswith("NAFNet-")]
YOLO, YOSO = {"reflection_detector": Path("/o.pt")}, {"reflection_segmenter": Path("/o.pth")}


@pytest.fixture
def present(monkeypatch):
    """Set the weights that are here."""
    here = set()
    monkeypatch.setattr(weights, "is_present", here.__contains__)
    return here


CASES = [
    (CLASSIFY, {}, ["Qwen2.5-VL-7B-Instruct"]),
    (CLASSIFY, {"classifier": "Qwen3-VL-4B-Instruct"}, ["Qwen3-VL-4B-Instruct"]),
    (CLASSIFY, {"classifier_url": "http://host"}, []),
    (CLASSIFY, {"classifier": "/own"}, []),
    (A, {}, ["sd-turbo", "sd-turbo-text", "InvSR", "RealESRGAN_x4plus", "YuNet"]),
    (A, {"enlarging_net": "RealESRGAN_x4plus"}, ["RealESRGAN_x4plus", "YuNet"]),
    (B, {}, ["RRW"]),
    (B, YOLO, ["big-lama", "YuNet"]),
    (B, YOSO, ["big-lama", "YuNet"]),
    (C, {}, NAFNETS[:1]),
    (C, {"faces": True}, [NAFNETS[0], "YuNet", "CodeFormer"]),
    (C, {"faces": True, "face_net": "GFPGANv1.4"}, [NAFNETS[0], "YuNet", "GFPGANv1.4"]),
    (CLEAN, {}, []),
]


@pytest.mark.parametrize(("step", "known", "expected"), CASES)
def test_a_step_needs_these_weights(present, step, known, expected):
    paper = PaperSettings(**known)
    assert needs(step, paper) == missing(step, paper) == expected
    present.update(expected[1:])
    assert missing(step, paper) == expected[:1]


def test_the_deblurring_net_is_that_of_the_settings_whatever_is_here(present):
    present.update(NAFNETS)
    assert sorted(DeblurringNet) == sorted(NAFNETS)
    for name in DeblurringNet:
        assert needs(C, PaperSettings(deblurring_net=name)) == [name]


@pytest.mark.parametrize(
    ("step", "known", "expected"),
    [(B, {}, []), (B, YOLO, ["RRW"]), (B, YOSO, ["RRW"]), (C, YOLO, [])],
)
def test_rrw_is_used_if_it_is_here_beside_a_detector(step, known, expected):
    assert uses_if_here(step, PaperSettings(**known)) == expected


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("YuNet", {"steps": (CLASSIFY,)}, "super-resolution, if it is in steps"),
        (
            "InvSR",
            {"enlarging_net": "RealESRGAN_x4plus"},
            'super-resolution, with enlarging_net = "InvSR"',
        ),
        ("CODEFORMER", {}, "motion-blur, with faces = true"),
        ("GFPGANv1.4", {}, 'motion-blur, with faces = true, face_net = "GFPGANv1.4"'),
        ("GFPGANv1.4", {"faces": True}, 'motion-blur, with face_net = "GFPGANv1.4"'),
        (
            "Qwen2.5-VL-7B-Instruct",
            {"classifier_url": "http://host"},
            'classify, with classifier_url = ""',
        ),
        ("Qwen3-VL-4B-Instruct", {}, 'classify, with classifier = "Qwen3-VL-4B-Instruct"'),
        ("big-lama", {}, 'reflection, with reflection_detector = "FILE"'),
        ("RRW", YOLO, "reflection, if it is here"),
        ("InvSR", {"steps": (CLASSIFY,)}, "super-resolution, if it is in steps"),
        ("sd-turbo", {"steps": ("reflection",)}, "super-resolution, if it is in steps"),
        ("of nobody", {}, ""),
    ],
)
def test_weights_that_no_step_needs_name_the_step_and_setting_that_would(
    present, name, known, expected
):
    paper = PaperSettings(**known)
    assert needed_by(name, paper) == []
    assert needed_if(name, paper) == expected


@pytest.mark.parametrize("name", ["invsr", "INVSR", "InvSR"])
def test_weights_are_named_in_any_case(present, name):
    assert needed_by(name, PaperSettings()) == ["super-resolution"]


def test_only_an_absolute_path_is_a_classifier_of_ones_own():
    assert own_classifier(PaperSettings(classifier="/own")) == Path("/own")
    assert own_classifier(PaperSettings(classifier="~/own")) == Path.home() / "own"
    assert own_classifier(PaperSettings(classifier="own/net")) is None
    assert own_classifier(PaperSettings()) is None
