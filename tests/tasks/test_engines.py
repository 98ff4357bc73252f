"""The engine of each step follows the settings and, with auto, what this machine has."""

import pytest

from storage import weights
from storage.kinds import CLASSIFY, QUEUES, EngineName
from storage.settings import PaperSettings, settings
from tasks import engines
from tasks.engines import engine_of, missing, needs

MOTION = "motion-blur"
LITE, PAPER = EngineName


@pytest.fixture
def use(home, monkeypatch):
    """Set the engine and whether there is a GPU."""

    def set_(engine, *, gpu=False, paper="{}"):
        monkeypatch.setenv("PHOTOMEND_ENGINE", engine)
        monkeypatch.setenv("PHOTOMEND_PAPER", paper)
        monkeypatch.setattr(engines.shutil, "which", lambda name: "/bin/it" if gpu else None)
        settings.cache_clear()
        engine_of.cache_clear()
        return home / "state/weights"

    yield set_
    engine_of.cache_clear()


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


def test_auto_asks_a_server_without_a_gpu(use):
    use("auto", paper='{"classifier_url": "http://localhost:11434"}')
    assert engine_of(CLASSIFY) is PAPER


def test_all_that_a_step_needs_is_in_the_table_of_weights(use):
    use("paper")
    known = PaperSettings(faces="on")
    for step in QUEUES:
        for name in needs(step, known):
            assert step in weights.named(name).needed_by
    assert "CodeFormer" in missing(MOTION, known)
    assert "CodeFormer" not in missing(MOTION, PaperSettings())
    assert needs(CLASSIFY, PaperSettings(classifier="/models/own")) == []
