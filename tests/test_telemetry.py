"""Nothing leaves the machine, and nothing but photomend's state comes to lie in the home.

What is tested runs with an empty home and environment, in a network of its own.
"""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from storage import publishing
from storage.enums import Degradation

TESTS = Path(__file__).parent
PHOTOMEND = Path(sys.executable).with_name("photomend")
SPEAKS = """
import pathlib, socket
(pathlib.Path.home() / "id").touch()
for host in "photomend.example", "192.0.2.1", "2001:db8::1":
    try:
        socket.create_connection((host, 443))
    except OSError:
        pass
"""
TAKEN = {
    "torch": "from tasks.training import export; import time; time.sleep(3)",
    "ultralytics": "from tasks.paper.detectors import yolo; yolo.library()",
    "paddleocr": "from tasks.paper.detectors import paddle_text as p; p._detector()",
    "diffusers": "from tasks.paper.restorers import face_nets, invsr; import transformers as t; t.CLIPTextModel",
}
"""How our code gets each library. Fitting needs torch; its export imports onnxruntime, which would
speak about a second later."""


@dataclass(frozen=True)
class Left:
    """What a command left behind."""

    files: set[str]
    """Below the home, but photomend's state."""
    packets: list[str]


@pytest.fixture
def overhear(tmp_path) -> Callable[..., Left]:
    if not shutil.which("ip"):
        pytest.skip("ip is not installed here (apt install iproute2)")
    if subprocess.run(["unshare", "-rmn", "true"], check=False).returncode:
        pytest.skip("user and network namespaces are not allowed here")
    home = tmp_path / "home"
    home.mkdir()

    def run(*command: str | Path, **environment: str) -> Left:
        done = subprocess.run(
            ["unshare", "-rmn", sys.executable, TESTS / "overhear.py", *command],
            env={"HOME": str(home), "PATH": os.environ["PATH"]} | environment,
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-6000:]
        files = {str(path.relative_to(home)) for path in home.rglob("*") if not path.is_dir()}
        state = ".local/state/photomend/"
        return Left({n for n in files if not n.startswith(state)}, done.stdout.splitlines())

    return run


def test_what_speaks_and_writes_is_overheard(overhear):
    left = overhear(sys.executable, "-c", SPEAKS)
    assert left.files == {"id"}
    assert any("photomend" in packet for packet in left.packets)
    for address in (b"\xc0\x00\x02\x01", b"\x20\x01\x0d\xb8"):
        assert any(address in ast.literal_eval(packet) for packet in left.packets)


@pytest.mark.slow
def test_a_photo_is_mended_without_a_word_to_anyone(overhear, spoilt, tmp_path):
    gallery = tmp_path / "gallery"
    gallery.mkdir()
    shutil.copyfile(spoilt(Degradation.NOISE), gallery / "cat.jpg")
    settings = {"PHOTOMEND_CONFIG": os.devnull, "PHOTOMEND_SETTLE_SECONDS": "0.2"}
    left = overhear(PHOTOMEND, "up", gallery, "--once", ORT_DISABLE_TELEMETRY="0", **settings)
    assert publishing.sha256(tmp_path / "gallery-mended/cat.jpg") != publishing.sha256(
        gallery / "cat.jpg"
    )
    assert left == Left(set(), [])


@pytest.mark.paper
@pytest.mark.parametrize("library", TAKEN)
def test_a_library_of_the_paper_engine_is_silent(library, overhear):
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed here (make test installs it)")
    site = [str(TESTS / "paper/site"), str(TESTS.parent)]
    left = overhear(sys.executable, "-c", TAKEN[library], PYTHONPATH=os.pathsep.join(site))
    assert left == Left(set(), [])
