"""How a Python process of ours is started."""

import sys


def python_command(module: str, *words: str) -> list[str]:
    """Return the command line that runs a module of ours with these arguments.

    Nothing in the current folder is imported (-P): it may hold a tasks.py of somebody else.
    """
    return [sys.executable, "-P", "-m", module, *words]
