"""The commands that are advised fit how photomend was installed."""

import re
import sys
import tomllib

import pytest

from storage import installation

HEADLESS = "install --force-reinstall --no-deps opencv-python-headless"


@pytest.fixture
def installed_by(tmp_path, monkeypatch):
    """Run as if photomend lay in an environment with this file, and not in one made by make."""

    def install(file="pyvenv.cfg"):
        (tmp_path / file).touch()
        monkeypatch.setattr(sys, "prefix", str(tmp_path))
        monkeypatch.setattr(sys, "executable", str(tmp_path / "bin/python"))

    return install


def test_a_checkout_is_mended_by_make(monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(installation.ROOT / ".venv"))
    assert f"make -C {installation.ROOT} paper" in installation.get_libraries()
    assert f"make -C {installation.ROOT} .venv/ready" in installation.mend_opencv()


def test_an_extra_that_is_missing_is_named(installed_by):
    installed_by("uv-receipt.toml")
    advice = installation.advice(ModuleNotFoundError("No module named 'psycopg'", name="psycopg"))
    assert "a PostgreSQL needs an extra" in advice and "[postgres]" in advice
    assert "--force-reinstall" not in advice


def test_a_service_is_mended_without_tools_for_development(tmp_path, monkeypatch):
    (tmp_path / ".venv").mkdir()
    monkeypatch.setattr(installation, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    assert f"make -C {tmp_path} service" in installation.mend()


@pytest.mark.parametrize(
    ("file", "command"),
    [
        ("pipx_metadata.json", f"pipx runpip photomend {HEADLESS}"),
        ("uv-receipt.toml", "uv pip install --python {prefix}/bin/python --force-reinstall"),
    ],
)
def test_what_a_tool_installed_is_mended_by_it(installed_by, tmp_path, file, command):
    installed_by(file)
    assert command.format(prefix=tmp_path) in installation.mend_opencv()


def test_what_pip_installed_is_mended_by_pip(installed_by, tmp_path, monkeypatch):
    (tmp_path / "site/pip").mkdir(parents=True)
    (tmp_path / "site/pip/__init__.py").touch()
    wheel = tmp_path / "site/opencv_python-4.10.0.84.dist-info/METADATA"
    wheel.parent.mkdir()
    wheel.write_text("Metadata-Version: 2.1\nName: opencv-python\nVersion: 4.10.0.84\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    installed_by()
    pip = f"{tmp_path}/bin/python -m pip"
    assert f"{pip} uninstall opencv-python && {pip} {HEADLESS}" in installation.mend_opencv()


@pytest.mark.parametrize(
    ("origin", "requirement"),
    [
        (None, "photomend[paper]"),
        (
            '{"url": "https://example.org/p.git", "vcs_info": {"vcs": "git"}}',
            "photomend[paper] @ git+https://example.org/p.git",
        ),
        ('{"url": "file:///p", "dir_info": {}}', "photomend[paper] @ file:///p"),
    ],
)
def test_the_extra_comes_from_where_photomend_came(installed_by, monkeypatch, origin, requirement):
    installed_by("uv-receipt.toml")
    monkeypatch.setattr("importlib.metadata.PathDistribution.read_text", lambda *_: origin)
    assert f"'{requirement}'" in installation.get_libraries()


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (ImportError("libGL.so.1: cannot open shared object file"), "libraries anew"),
        (ImportError("cannot import name 'imread'", name="cv2.gapi"), "libraries anew"),
        (ImportError("cannot import name 'Session'", name="onnxruntime.capi"), "libraries anew"),
        (ModuleNotFoundError("No module named 'skimage'", name="skimage"), "libraries anew"),
        (ImportError("undefined symbol: a_function"), "libraries anew"),
        (ModuleNotFoundError("No module named 'diffusers'", name="diffusers"), "paper's engine"),
        (ModuleNotFoundError("No module named 'torch._C'", name="torch._C"), "paper's engine"),
    ],
)
def test_the_advice_fits_the_library_that_cannot_be_imported(monkeypatch, error, advice):
    monkeypatch.setattr(sys, "prefix", str(installation.ROOT / ".venv"))
    assert advice in installation.advice(error)


def test_all_modules_that_the_paper_extra_installs_are_known():
    with (installation.ROOT / "pyproject.toml").open("rb") as file:
        extra = tomllib.load(file)["project"]["optional-dependencies"]["paper"]
    names = {re.split("[^a-z_]", requirement)[0] for requirement in extra}
    optional = {"bitsandbytes", "nvidia"}  # no wheel for arm64; nothing needs nvidia-ml-py
    assert names - optional == set(installation.LIBRARIES)
