"""How photomend was installed, and the commands that repair its libraries."""

import json
import shlex
import sys
from enum import Enum, auto
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEADLESS = "opencv-python-headless"
OTHER_OPENCV = ("opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless")
"""Other wheels of OpenCV, which overwrite files of the headless one; the first two need libGL."""
LIBRARIES = (
    "accelerate", "diffusers", "paddleocr", "safetensors", "spandrel", "spandrel_extra_arches",
    "torch", "torchvision", "transformers", "ultralytics",
)  # fmt: skip
"""The modules of the paper engine and of training."""


def _identity() -> tuple[int, int] | None:
    """Return what is other for a new copy of this file; None if there is none any more."""
    try:
        found = Path(__file__).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


_AT_START = _identity()


def was_replaced() -> bool:
    """Return whether photomend was updated or removed since this process imported it."""
    return _identity() != _AT_START


class Installer(Enum):
    """The program that installed photomend."""

    MAKE = auto()
    PIPX = auto()
    UV = auto()
    PIP = auto()


def installer() -> Installer:
    """Return the program that installed photomend."""
    prefix = Path(sys.prefix)
    if prefix.resolve().is_relative_to(ROOT / ".venv"):
        return Installer.MAKE
    if (prefix / "pipx_metadata.json").exists():
        return Installer.PIPX
    if (prefix / "uv-receipt.toml").exists() or find_spec("pip") is None:
        return Installer.UV
    return Installer.PIP


def advice(error: ImportError) -> str:
    """Return what to do when a library cannot be imported."""
    module = (error.name or "").partition(".")[0]
    if module == "cv2" or "libGL" in str(error):
        return mend_opencv()
    if module == "psycopg":
        return f"a PostgreSQL needs an extra; {get_extra('postgres')}"
    return get_libraries() if module in LIBRARIES else mend()


def get_libraries() -> str:
    """Return how to install what the paper's engine and training need."""
    if installer() is Installer.MAKE:
        command = f"make -C {shlex.quote(str(ROOT))} paper"
    else:
        command = f"{_pip('install')} {shlex.quote(_requirement('[paper]'))}"
    return f"`{command}` installs what the paper's engine and training need"


def get_extra(name: str) -> str:
    """Return how to install an extra of the services: `mqtt` or `postgres`."""
    if installer() is Installer.MAKE:
        command = f"make -C {shlex.quote(str(ROOT))} service"
    else:
        command = f"{_pip('install')} {shlex.quote(_requirement(f'[{name}]'))}"
    return f"`{command}` installs it"


def uncover_gpu() -> str:
    """Return how to install the onnxruntime that computes on a GPU over the other one."""
    if installer() is Installer.MAKE:
        return f"`make -C {shlex.quote(str(ROOT))} cuda` mends that"
    return f"`{_pip('install')} --force-reinstall --no-deps onnxruntime-gpu` mends that"


def mend() -> str:
    """Return how to reinstall all libraries."""
    if installer() is Installer.MAKE:
        root = shlex.quote(str(ROOT))
        target = ".venv/ready" if (Path(sys.prefix) / "ready").exists() else "service"
        command = f"rm -r {root}/.venv && make -C {root} {target}"
    else:
        command = f"{_pip('install')} --force-reinstall {shlex.quote(_requirement())}"
    return f"`{command}` installs the libraries anew"


def mend_opencv() -> str:
    """Return how to install the OpenCV that needs no libGL."""
    if installer() is Installer.MAKE:
        return mend()
    install = f"{_pip('install')} --force-reinstall --no-deps {HEADLESS}"
    if others := other_opencv():
        install = f"{_pip('uninstall')} {' '.join(others)} && {install}"
    return f"`{install}` installs the OpenCV that needs no libGL"


def other_opencv() -> list[str]:
    """Return the installed wheels of OpenCV that overwrite files of the headless one."""
    return [name for name in OTHER_OPENCV if _is_installed(name)]


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def _pip(act: str) -> str:
    python = shlex.quote(sys.executable)
    match installer():
        case Installer.PIPX:
            return f"pipx runpip photomend {act}"
        case Installer.UV:
            return f"uv pip {act} --python {python}"
        case _:
            return f"{python} -m pip {act}"


def _requirement(extra: str = "") -> str:
    """Return photomend as a pip requirement, with the place it was installed from."""
    try:
        origin = json.loads(distribution("photomend").read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        origin = {}
    if not origin:
        return f"photomend{extra}"
    scheme = f"{origin['vcs_info']['vcs']}+" if "vcs_info" in origin else ""
    return f"photomend{extra} @ {scheme}{origin['url']}"
