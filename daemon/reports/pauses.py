"""Say what is paused, why and until when, for status, the page and the view of `up`."""

import time

from daemon.console.output import when
from storage.database.pauses import BATTERY, NOW, SCHEDULE
from storage.database.records import Pause
from storage.settings import settings

BEGIN_NOW = "`photomend resume --now`"
"""What starts photos whatever schedule and battery say."""
OF_MACHINE = (SCHEDULE, BATTERY)
"""Scopes of pauses that only that ends, and not a plain resume."""


def line(pause: Pause) -> str:
    """Return a pause as status lists it."""
    match pause.scope:
        case "schedule":
            return f"waits until {_until(pause)} (schedule)"
        case "battery":
            return f"waits until the machine is plugged in (on battery); {BEGIN_NOW} begins at once"
        case "now":
            return f"goes on until {_until(pause)}, whatever schedule and battery say"
    return f"{what(pause)}, until {when(pause.until) or '`photomend resume`'}"


def sentence(pause: Pause) -> str:
    """Return a pause as a line among others."""
    return line(pause) if pause.scope in (*OF_MACHINE, NOW) else f"paused: {line(pause)}"


def what(pause: Pause) -> str:
    """Return what a person paused."""
    return "everything" if pause.scope == "all" else f"{pause.scope} {pause.name}"


def stops_everything(pause: Pause) -> bool:
    """Return whether a pause stops all photos, but those that the owner asks for at once."""
    return pause.scope in ("all", *OF_MACHINE)


def _until(pause: Pause) -> str:
    if pause.until is None:
        return f"{BEGIN_NOW}: the schedule has no hours"
    return settings().schedule.schedule.shown(pause.until, time.time())
