"""What to type after a trial, to mend the photos that it was made of."""

import os
from pathlib import Path

from daemon.console import session, targets
from daemon.console.targets import Place
from daemon.reports.health import is_alive
from storage.database import galleries, processes, status
from storage.settings import settings
from storage.text import command


def lines(folder: Path, output: Path | None = None) -> list[str]:
    """Return sentences with the commands that mend a folder, which may be a gallery or lie in one.

    A gallery in a gallery is refused, and what `up` is told about a gallery of the settings holds
    only as long as it runs: photos of these are added.
    """
    place, runs = _place(folder), _runs()
    if place is None or (not runs and _is_own(place)):
        before = (
            "stop the photomend that runs, or add this folder to its settings; then "
            if runs
            else ""
        )
        to = ("--output", output) if output else ()
        return [
            f"{before}mend {what}: {command('photomend', 'up', '--backlog', backlog, *to, of=folder)}"
            for what, backlog in (("all", "all"), ("new photos only", "new"))
        ]
    add = command("photomend", "add", of=folder)
    found = [f"mend all: {add if session.exists() else f'photomend migrate && {add}'}"]
    return found if runs else [*found, f"start photomend, which then mends them: {_start(place)}"]


def _place(folder: Path) -> Place | None:
    """Return the gallery that contains a folder, one of the settings or one that `up` recorded."""
    if session.exists():
        return targets.place(folder)
    for name, gallery in settings().galleries.items():
        if folder.is_relative_to(root := Path(os.path.realpath(gallery.path))):
            return Place(name, folder.relative_to(root))
    return None


def _runs() -> bool:
    """Return whether a watcher lives."""
    if not session.exists():
        return False
    state = status.summary(session.engine())
    return any(each.name == processes.WATCHER and is_alive(state, each) for each in state.processes)


def _is_own(place: Place) -> bool:
    """Return whether a place is a whole gallery that is not in the settings."""
    return place.gallery not in settings().galleries and not place.source.parts


def _start(place: Place) -> str:
    """Return what starts the watcher of a gallery, with the old photos that it had."""
    if place.gallery in settings().galleries:
        return "photomend up"
    row = galleries.get(session.engine(), place.gallery)
    assert row is not None
    backlog = (row.settings or {}).get("backlog", "new")
    words = ("photomend", "up", "--backlog", backlog, "--output", row.output)
    return command(*words, of=row.root)
