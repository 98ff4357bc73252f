"""Count the children of this worker that ended soon: a machine at fault costs each photo attempts."""

import os
import time
from pathlib import Path

LIMIT = 5
"""Number of children started within PERIOD_SECONDS that is too many."""
PERIOD_SECONDS = 60.0


class Children:
    """The children that this process has started lately."""

    def __init__(self) -> None:
        self._seen: dict[int, float] = {}

    def keep_dying(self) -> bool:
        """Look for new children; return whether there were too many within a minute."""
        present = time.monotonic()
        for child in _children():
            self._seen.setdefault(child, present)
        recent = [at for at in self._seen.values() if present - at < PERIOD_SECONDS]
        return len(recent) > LIMIT

    def forget(self) -> None:
        """Count from the start again."""
        self._seen = {child: float("-inf") for child in self._seen}


def _children() -> list[int]:
    """Return the ids of this process's children."""
    lists = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return [int(child) for file in lists for child in file.read_text().split()]
