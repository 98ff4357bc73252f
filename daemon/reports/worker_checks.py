"""Check what a worker needs: libraries, the process that decodes photos, engine, server and GPU."""

import subprocess
from importlib.util import find_spec

from daemon.console.output import span
from daemon.reports import exposure
from daemon.reports.finding import Finding
from daemon.supervising.python_command import python_code
from storage import cores, installation
from storage.enums import QUEUES, EngineChoice, Reaction
from storage.errors import PhotomendError
from storage.settings import settings
from storage.text import counted
from storage.urls import without_password
from tasks import engines, gpu_probe
from tasks.lite import gpu_trial
from tasks.worker import gpu_use

WORKER_MODULES = (
    "tasks.steps.run_step", "tasks.lite.engine", "tasks.lite.classifier", "onnxruntime", "pillow_heif",
    "rapidocr",
)  # fmt: skip
"""The modules that every worker imports."""
IMPORT_SECONDS = 120.0
"""Longest time for the import of all libraries, from a slow disk."""


def libraries() -> Finding:
    """Import the modules of a worker in another process, since a library may crash."""
    try:
        imported = subprocess.run(
            python_code(f"import {', '.join(WORKER_MODULES)}"), check=False, capture_output=True,
            text=True, errors="replace", timeout=IMPORT_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        text = f"importing those of a worker takes more than {span(IMPORT_SECONDS)}"
        return Finding("libraries", False, text)
    if imported.returncode:
        reason = (imported.stderr.strip() or f"code {imported.returncode}").splitlines()[-1]
        advice = installation.mend_opencv() if "cv2" in imported.stderr else installation.mend()
        return Finding("libraries", False, f"no worker can start: {reason}; {advice}")
    if others := " and ".join(installation.other_opencv()):
        text = f"{others} may overwrite opencv-python-headless; {installation.mend_opencv()}"
        return Finding("libraries", False, text)
    return Finding("libraries", True, "all that a worker needs can be imported")


def decoding() -> Finding:
    """Start the process that decodes photos, and name what holds it in.

    A kernel that lacks a part is no problem that the owner must mend.
    """
    from storage import jail

    try:
        with jail.used() as process:
            confined = process.confinement()
    except OSError as error:
        return Finding("decoding", False, f"{error.strerror}; {installation.mend()}")
    if confined.is_complete:
        held = f"Landlock {confined.landlock} and a filter of system calls"
        return Finding("decoding", True, f"in a process without files and network, by {held}")
    return Finding("decoding", True, f"with less protection: {'; '.join(confined.lacks)}")


def engine() -> Finding:
    """Check that the libraries and weights of the chosen engine exist, without loading them."""
    choice, paper = settings().engine, settings().paper
    if choice == EngineChoice.LITE:
        return Finding("engine", True, "lite; it needs no other libraries or weights")
    if missing := [name for name in installation.LIBRARIES if find_spec(name) is None]:
        text = f"{choice}: {', '.join(missing)} not installed; {installation.get_libraries()}"
        return Finding("engine", False, text)
    if missing := [name for step in paper.steps for name in engines.missing(step, paper)]:
        text = (
            f"{choice}: weights are missing; fetch them: photomend weights pull {' '.join(missing)}"
        )
        return Finding("engine", choice == EngineChoice.AUTO, text)
    used = ", ".join(f"{step} by {engines.engine_of(step)}" for step in QUEUES)
    return Finding("engine", True, f"{choice}: {used}")


def server() -> Finding:
    """Ask the classifier's server about a grey picture, as a worker does."""
    from tasks import loading

    paper = settings().paper
    net = f"{paper.classifier_net} on {without_password(paper.classifier_url)}"
    try:
        understands = loading.server_names_a_letter(paper)
    except PhotomendError as error:
        return Finding("classifier", False, str(error))
    if not understands:
        text = "does not begin its answer with a letter, so photos stay unsure; choose another net"
        return Finding("classifier", False, f"{net} {text}")
    if reason := exposure.of_photos(paper.classifier_url):
        return Finding("classifier", False, f"{net} answers; {reason}")
    return Finding("classifier", True, f"{net} answers")


def devices() -> Finding:
    """Check that the paper engine can compute on the GPU, if there is one and if it is in use."""
    here = counted(cores.count(), "core")
    if not gpu_probe.has_card():
        return Finding("devices", True, f"{here}, no GPU; the lite engine needs none")
    if settings().engine == EngineChoice.LITE:
        found = (
            str(gpu_trial.trial()) if gpu_trial.is_installed() else "a GPU that lite does not need"
        )
        return Finding("devices", True, f"{here}; {found}")
    gpu = gpu_probe.gpu()
    if gpu.problem:
        text = f"{here}; the GPU cannot be used, so lite takes its steps: {gpu.problem}"
        return Finding("devices", False, text)
    text = f"{here}, {gpu.name}"
    if settings().give_way.gpu_in_use is Reaction.WAIT:
        try:
            gpu_use.by_others(gpu.uuid, ())
        except gpu_use.Unseen as reason:
            text += f"; it cannot wait for other programs on it: {reason}"
    return Finding("devices", True, text)
