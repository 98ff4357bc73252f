"""Show what apps that show photos are still to be told."""

from collections.abc import Sequence

from daemon.console.output import when
from storage.database.followups import Waiting
from storage.settings_libraries import IMMICH, PHOTOPRISM

OLD_SECONDS = 86400.0
"""Age from which what waits is a problem: immich scans its libraries once a day."""
_WHAT = {IMMICH: ("result waits", "results wait"), PHOTOPRISM: ("folder waits", "folders wait")}


def line(waiting: Waiting) -> str:
    """Return what waits for an app, since when and why."""
    one, many = _WHAT.get(waiting.app, ("item waits", "items wait"))
    why = f": {waiting.error}" if waiting.error else ""
    return (
        f"{waiting.count:,} {one if waiting.count == 1 else many} for {waiting.app}, "
        f"the oldest since {when(waiting.oldest)}{why}"
    )


def problems(waiting: Sequence[Waiting], now: float) -> list[str]:
    """Return what has waited for too long, each as a sentence."""
    return [line(each) for each in waiting if each.error and now - each.oldest > OLD_SECONDS]
