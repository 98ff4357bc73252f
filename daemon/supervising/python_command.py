"""The command line that starts a Python process of photomend."""

import sys

SUPERVISED = "_PHOTOMEND_SUPERVISED"
"""Environment variable of the processes that `photomend up` starts."""


def python_command(module: str, *words: str) -> list[str]:
    """Return the command line that runs a module of photomend with these arguments.

    With -P nothing is imported from the current folder, which may hold an unrelated tasks.py.
    """
    return [sys.executable, "-P", "-m", module, *words]
