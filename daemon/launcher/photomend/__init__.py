"""The installed package `photomend`, in which `daemon`, `tasks` and `storage` lie.

Other projects have packages of these names, too: python-daemon, for example. So only a process of
photomend has this folder on its path, and it stands first there.
"""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent
FOLDER = _FOLDER if (_FOLDER / "daemon").is_dir() else Path(__file__).parents[3]
"""The folder with photomend's packages: this one, or the checkout."""
PACKAGES = ("daemon", "tasks", "storage")


def main() -> None:
    """Run the command line."""
    use_own_packages()
    from daemon.cli import main as run

    run()


def use_own_packages() -> None:
    """Import photomend's packages first in this process; end it if others have their names."""
    sys.path[:] = [str(FOLDER), *(path for path in sys.path if path != str(FOLDER))]
    for name in PACKAGES:
        found = find_spec(name)
        if found is None or found.origin != str(FOLDER / name / "__init__.py"):
            where = "missing" if found is None else found.origin or "another folder"
            sys.exit(
                f"photomend: the Python package {name} is not photomend's own, but {where}; install "
                "photomend in an environment of its own: uv tool install, pipx, or a new venv"
            )


def __getattr__(name: str) -> Any:
    """Return the Celery application as `app`, for `celery -A photomend`."""
    if name != "app":
        raise AttributeError(f"module photomend has no {name}")
    use_own_packages()
    from tasks.worker.app import app

    return app
