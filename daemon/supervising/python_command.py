"""The command line that starts a Python process of photomend."""

import sys

SUPERVISED = "_PHOTOMEND_SUPERVISED"
"""Environment variable of the processes that `photomend up` starts."""


def python_command(module: str, *words: str) -> list[str]:
    """Return the command line that runs a module of photomend with these arguments.

    With -P nothing is imported from the current folder, which may hold an unrelated tasks.py. The
    launcher finds photomend's modules where it is installed, also beside others of their names.
    """
    return [sys.executable, "-P", "-m", "photomend.module", module, *words]


def python_code(code: str) -> list[str]:
    """Return the command line that runs this code, which may import photomend's modules."""
    return [sys.executable, "-P", "-c", f"import photomend; photomend.use_own_packages(); {code}"]
