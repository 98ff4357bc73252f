"""The engine of each step follows the settings and, with auto, what this machine has."""

import json
from pathlib import Path

import pytest

from storage import weights
from storage.enums import CLASSIFY, QUEUES, Category, EngineName
from storage.settings import settings
from storage.settings_paper import PaperSettings
from storage.weights.catalogue import TABLE
from tasks import gpu_probe, loading
from tasks.engines import engine_of, missing, needed_by, needed_if, needs, needs_device

MOTION = "motion-blur"
LITE, PAPER = EngineName


@pytest.fixture
def use(home, monkeypatch):
    """Set the engine and whether there is a GPU."""

    def set_(engine, *, gpu=False, problem="", paper="{}"):
        monkeypatch.setenv("PHOTOMEND_ENGINE", engine)
        monkeypatch.setenv("PHOTOMEND_PAPER", paper)
        monkeypatch.setenv(
            gpu_probe.PASSED_ON, json.dumps({"name": "A card" if gpu else "", "problem": problem})
        )
        gpu_probe.gpu.cache_clear()
        settings.cache_clear()
        engine_of.cache_clear()
        return home / "state/weights"

    yield set_
    engine_of.cache_clear()
    gpu_probe.gpu.cache_clear()


def test_the_engine_that_is_named_takes_all_steps_but_those_left_out(use):
    use("lite")
    assert {engine_of(step) for step in QUEUES} == {LITE}
    use("paper", paper='{"steps": ["motion-blur"]}')
    assert {step: engine_of(step) for step in QUEUES} == {
        **dict.fromkeys(QUEUES, LITE),
        MOTION: PAPER,
    }


def test_auto_takes_the_paper_engine_where_weights_and_a_gpu_are_there(use):
    folder = use("auto", gpu=True)
    assert {engine_of(step) for step in QUEUES} == {LITE}
    folder.mkdir(parents=True)
    (folder / "NAFNet-REDS-width64.pth").write_bytes(b"weights")
    use("auto", gpu=True)
    assert (engine_of(MOTION), engine_of(CLASSIFY)) == (PAPER, LITE)
    use("auto", gpu=False)
    assert engine_of(MOTION) is LITE


@pytest.mark.parametrize("engine", ["auto", "paper"])
def test_a_gpu_that_cannot_be_used_leaves_all_steps_to_lite_not_to_the_cpu(use, engine):
    folder = use(engine, gpu=True, problem="its driver is too old")
    folder.mkdir(parents=True)
    (folder / "NAFNet-REDS-width64.pth").write_bytes(b"weights")
    assert {engine_of(step) for step in QUEUES} == {LITE}


def test_auto_asks_a_server_without_a_gpu(use):
    use("auto", paper='{"classifier_url": "http://localhost:11434"}')
    assert engine_of(CLASSIFY) is PAPER
    assert not needs_device(CLASSIFY)  # a GPU that is lost does not stop it


def test_what_runs_here_by_the_paper_engine_needs_the_device(use):
    use("paper", gpu=True, paper='{"steps": ["classify", "reflection"]}')
    assert [needs_device(step) for step in (CLASSIFY, "reflection", "motion-blur")] == [
        True, True, False,
    ]  # fmt: skip


WAYS = [
    PaperSettings(),
    PaperSettings(steps=(CLASSIFY, "reflection")),
    PaperSettings(faces=True, face_net="GFPGANv1.4"),
    PaperSettings(reflection_segmenter=Path("/own.pth"), classifier="qwen3-vl-4b-instruct"),
    PaperSettings(classifier_url="http://localhost", faces=True),
]


@pytest.mark.parametrize("known", WAYS)
def test_what_the_steps_need_and_what_weights_are_needed_by_is_one_rule(use, known):
    use("paper")
    for step in QUEUES:
        for name in needs(step, known):
            weights.find(name)
    for each in TABLE:
        here = [s for s in known.steps if each.name.lower() in map(str.lower, needs(s, known))]
        assert needed_by(each.name, known) == here


def test_faces_are_only_needed_if_they_are_on(use):
    use("paper")
    assert missing(MOTION, PaperSettings()) == ["NAFNet-REDS-width64"]
    assert needed_if("CodeFormer", PaperSettings()) == "motion-blur, with faces = true"
    known = PaperSettings(faces=True)
    assert missing(MOTION, known) == ["NAFNet-REDS-width64", "YuNet", "CodeFormer"]
    assert needed_if("GFPGANv1.4", known) == 'motion-blur, with face_net = "GFPGANv1.4"'


def test_what_paints_over_reflections_is_only_needed_beside_what_finds_them():
    known = PaperSettings(reflection_segmenter=Path("/own.pth"))
    assert needed_by("big-lama", PaperSettings()) == []
    assert needed_if("big-lama", PaperSettings()) == 'reflection, with reflection_detector = "FILE"'
    assert needed_by("big-lama", known) == ["reflection"]
    assert needed_by("YuNet", known) == ["super-resolution", "reflection"]
    assert needed_if("RRW", known) == "reflection, if it is here"
    assert needed_if("YOSO-coco", known) == ""


@pytest.mark.parametrize("setting", ["reflection_detector", "reflection_segmenter"])
def test_nothing_is_painted_over_without_the_detector_of_faces(use, setting):
    folder = use("auto", gpu=True, paper=f'{{"{setting}": "/own.pt"}}')
    folder.mkdir(parents=True)
    (folder / "big-lama.pt").write_bytes(b"weights")
    assert missing("reflection", settings().paper) == ["YuNet"]
    assert engine_of("reflection") is LITE
    (folder / "face_detection_yunet_2023mar.onnx").write_bytes(b"weights")
    engine_of.cache_clear()
    assert engine_of("reflection") is PAPER


def test_a_step_that_lite_takes_needs_nothing():
    known = PaperSettings(steps=(CLASSIFY,))
    assert needed_by("InvSR", known) == []
    assert needed_if("InvSR", known) == "super-resolution, if it is in steps"


@pytest.mark.parametrize("folder", ["/models/own", "~/own"])
def test_a_classifier_of_the_owners_own_needs_no_weights(folder):
    assert needs(CLASSIFY, PaperSettings(classifier=folder)) == []


def test_an_engine_that_is_named_leaves_to_lite_the_steps_that_the_settings_leave(use, monkeypatch):
    use("lite", paper='{"steps": ["motion-blur"]}')
    asked = []
    monkeypatch.setattr(loading, "classifier", lambda name: asked.append(name) or "classifier")
    monkeypatch.setattr(loading, "chain", lambda name, category: asked.append(name) or "chain")
    engine = loading.engine(PAPER)
    assert engine.classifier() == "classifier"
    assert {engine.chain(category) for category in Category} == {"chain"}
    assert asked == [LITE, LITE, LITE, PAPER, LITE]


def test_a_way_through_super_resolution_needs_no_weights_that_limit_commercial_use():
    free = PaperSettings(enlarging_net="RealESRGAN_x4plus")
    named = needs("super-resolution", free)
    assert named == ["RealESRGAN_x4plus", "YuNet"]
    terms = {entry.name: entry.commercial for entry in TABLE}
    assert all(terms[name] for name in named)


def test_the_deblurring_net_is_the_one_of_the_settings():
    assert needs(MOTION, PaperSettings()) == ["NAFNet-REDS-width64"]
    chosen = PaperSettings(deblurring_net="NAFNet-GoPro-width64")
    assert needs(MOTION, chosen) == ["NAFNet-GoPro-width64"]
    said = 'motion-blur, with deblurring_net = "NAFNet-GoPro-width64"'
    assert needed_if("NAFNet-GoPro-width64", PaperSettings()) == said
