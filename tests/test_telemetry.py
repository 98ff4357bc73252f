"""No command sends data to the network, or writes files in the home folder except its state.

The commands run with an empty home folder and environment, in a network namespace of their own.
"""

import ast
import json
import os
import shutil
import socket
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
SENDS_AND_WRITES = """
import pathlib, socket
(pathlib.Path.home() / "id").touch()
for host in "photomend.example", "192.0.2.1", "2001:db8::1":
    try:
        socket.create_connection((host, 443))
    except OSError:
        pass
"""
IMPORTS = {
    "torch": "from tasks.training import export; import time; time.sleep(3)",
    "ultralytics": "from tasks.paper.detectors import yolo; yolo.library()",
    "paddleocr": "from tasks.paper.detectors import paddle_text as p; p._detector()",
    "diffusers": "from tasks.paper.restorers import face_nets, invsr; import transformers as t; t.CLIPTextModel",
}
"""How photomend imports each library. Training imports torch, and onnxruntime for its export, which
would send telemetry about a second later."""


@dataclass(frozen=True)
class Traces:
    """The files that a command wrote and the packets that it sent."""

    files: set[str]
    """Paths in the home folder, without photomend's state."""
    packets: list[str]


@pytest.fixture
def traces_of(tmp_path) -> Callable[..., Traces]:
    if not shutil.which("ip"):
        pytest.skip("ip is not installed here (apt install iproute2)")
    if subprocess.run(["unshare", "-rmn", "true"], check=False).returncode:
        pytest.skip("user and network namespaces are not allowed here")
    home = tmp_path / "home"
    home.mkdir()

    def run(*command: str | Path, **environment: str) -> Traces:
        done = subprocess.run(
            ["unshare", "-rmn", sys.executable, TESTS / "overhear.py", *command],
            env={"HOME": str(home), "PATH": os.environ["PATH"]} | environment,
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-6000:]
        files = {str(path.relative_to(home)) for path in home.rglob("*") if not path.is_dir()}
        state = ".local/state/photomend/"
        return Traces({n for n in files if not n.startswith(state)}, done.stdout.splitlines())

    return run


def test_files_and_packets_are_detected(traces_of):
    traces = traces_of(sys.executable, "-c", SENDS_AND_WRITES)
    assert traces.files == {"id"}
    assert any("photomend" in packet for packet in traces.packets)
    for address in (b"\xc0\x00\x02\x01", b"\x20\x01\x0d\xb8"):
        assert any(address in ast.literal_eval(packet) for packet in traces.packets)


@pytest.mark.slow
def test_mending_a_photo_sends_no_packet(traces_of, degraded_photo, tmp_path):
    gallery = tmp_path / "gallery"
    gallery.mkdir()
    shutil.copyfile(degraded_photo(Degradation.NOISE), gallery / "cat.jpg")
    settings = {"PHOTOMEND_CONFIG": os.devnull, "PHOTOMEND_SETTLE_SECONDS": "0.2"}
    traces = traces_of(PHOTOMEND, "up", gallery, "--once", ORT_DISABLE_TELEMETRY="0", **settings)
    assert publishing.sha256(tmp_path / "gallery-mended/cat.jpg") != publishing.sha256(
        gallery / "cat.jpg"
    )
    assert traces == Traces(set(), [])


@pytest.mark.slow
def test_a_message_goes_to_its_receiver_and_nothing_to_anybody_else(traces_of, tmp_path):
    message = tmp_path / "message.json"
    fields = {"url": "ntfy://192.0.2.7:81/topic", "title": "t", "text": "x", "pictures": []}
    message.write_text(json.dumps(fields))
    command = f"{sys.executable} -P -m daemon.messages.apprise_process < {message}"
    traces = traces_of("sh", "-c", command)
    assert traces.files == set()
    headers = [ast.literal_eval(packet)[:24] for packet in traces.packets]
    assert headers
    assert {header[16:20] for header in headers} == {b"\xc0\x00\x02\x07"}
    assert {header[9] for header in headers} == {socket.IPPROTO_TCP}  # no name is looked up


@pytest.mark.paper
@pytest.mark.parametrize("library", IMPORTS)
def test_no_library_of_the_paper_engine_sends_a_packet(library, traces_of):
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed here (make test installs it)")
    site = [str(TESTS / "paper/site"), str(TESTS.parent)]
    traces = traces_of(sys.executable, "-c", IMPORTS[library], PYTHONPATH=os.pathsep.join(site))
    assert traces == Traces(set(), [])
