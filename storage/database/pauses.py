"""Why no photo is started: pauses that a person began, and the schedule and battery of this machine.

Whoever claims, counts or shows jobs asks here, so that all of them follow one rule.
"""

import os
import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy import select

from storage import battery
from storage.database import conditions
from storage.database.records import Pause
from storage.database.tables import now, pauses, workers
from storage.enums import Reaction
from storage.settings import settings

SCHEDULE, BATTERY = "schedule", "battery"
"""Scopes of the pauses that this machine makes: no row holds them."""
NOW = "now"
"""Scope of the row by which the owner lets photos start whatever schedule and battery say."""
NOW_SECONDS = 8 * 3600.0
"""Length of that if the schedule names no time at which its hours begin next."""


def lasting(connection: sa.Connection) -> list[Pause]:
    """Return the pauses that have not expired, and those of this machine."""
    return [*_of_owner(connection), *of_machine(connection)]


def of_machine(connection: sa.Connection) -> list[Pause]:
    """Return why this machine starts only photos that the owner asked for by `mend`; [] if it does all."""
    schedule, present = settings().schedule.schedule, time.time()
    found = []
    if not schedule.is_open(present):
        opening = schedule.next_opening(present)
        found.append(Pause(scope=SCHEDULE, name="", until=opening, since=present))
    if settings().give_way.on_battery is Reaction.WAIT and battery.in_use():
        found.append(Pause(scope=BATTERY, name="", until=None, since=present))
    return [] if found and _is_let_go(connection) else found


def was_open(seconds: float) -> bool:
    """Return whether the schedule let photos start so many seconds ago."""
    return settings().schedule.schedule.is_open(time.time() - seconds)


def works_elsewhere(connection: sa.Connection) -> bool:
    """Return whether another machine has workers, whose own schedule and battery count."""
    others = select(workers.c.id).where(workers.c.host != os.uname().nodename)
    return bool(connection.scalar(select(others.exists())))


def let_go(engine: sa.Engine, seconds: float | None = None) -> Pause:
    """Let photos start whatever schedule and battery say, until the hours begin; return until when."""
    schedule, present = settings().schedule.schedule, time.time()
    if seconds is None:
        opening = None if schedule.is_open(present) else schedule.next_opening(present)
        seconds = NOW_SECONDS if opening is None else opening - present
    row = {"scope": NOW, "name": "", "until": now() + seconds, "since": now()}
    with engine.begin() as connection:
        connection.execute(conditions.pause_of(NOW, ""))
        connection.execute(sa.insert(pauses).values(row))
        return Pause.of(connection.execute(_lasting().where(pauses.c.scope == NOW)).one())


def _of_owner(connection: sa.Connection) -> list[Pause]:
    return [Pause.of(row) for row in connection.execute(_lasting())]


def _is_let_go(connection: sa.Connection) -> bool:
    return connection.execute(_lasting().where(pauses.c.scope == NOW)).first() is not None


def _lasting() -> sa.Select[Any]:
    return select(pauses).where(conditions.pause_lasts())
