"""Switch off what libraries would send to their makers or ask of the network."""

import os

VARIABLES = {
    # onnxruntime sends reports of its use, with a device id that it keeps in ~/.cache/Microsoft.
    "ORT_DISABLE_TELEMETRY": "1",
    # huggingface_hub, for transformers and diffusers, counts its users ...
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # ... and asks its server for files that a local folder lacks.
    "HF_HUB_OFFLINE": "1",
    # ultralytics looks up two names when it is imported, sends events and errors if it is online,
    "YOLO_OFFLINE": "true",
    # and installs packages that it misses.
    "YOLO_AUTOINSTALL": "false",
    # paddlex, for paddleocr, asks four servers of models whether they are there.
    "PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK": "True",
}
"""Environment variables and their strictest values; the units in `systemd/` set the same."""


def disable() -> None:
    """Set the variables for this process and its children, whatever they were before.

    The packages `daemon` and `tasks` call this when they are imported, the only import of ours that
    changes the environment. Libraries read the variables when they are imported, and our modules import libraries
    at their top, so a call in the entry points would be too late and easily forgotten.
    """
    os.environ |= VARIABLES
