"""torch and torchvision fit each other, so that transformers' processors can be imported."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the paper engine needs torch")
pytest.importorskip("transformers", reason="the paper engine needs transformers")


def run(program, path=""):
    return subprocess.run(
        [sys.executable, "-c", program], env=os.environ | {"PYTHONPATH": str(path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_torchvision_has_its_operators_beside_the_torch_that_it_was_built_for():
    built_for = (Path(find_spec("torchvision").origin).with_name("version.py")).read_text()
    _, _, index = torch.__version__.partition("+")
    if f"+{index}'" not in built_for.splitlines()[0]:
        pytest.skip(f"no torchvision for a torch of the index {index} could be had here")
    done = run("import torchvision as v; print(v.extension._has_ops())")
    assert done.stdout == "True\n", done.stderr


def test_the_processors_of_transformers_can_be_imported_by_the_processes_of_tests():
    done = run("from transformers import AutoProcessor", Path(__file__).parent / "site")
    assert done.returncode == 0, done.stderr
