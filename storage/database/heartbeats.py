"""Heartbeats: for how long a process has been silent, whatever clocks and suspends do meanwhile.

A heartbeat holds the database's time and, with the id of the machine's boot, the time since then
without suspends. On the same machine only the latter counts: it takes no steps, and stops in a suspend.
"""

import time
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa

from storage.database.tables import now

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Heartbeat(Protocol):
    """The columns of a row with a heartbeat."""

    @property
    def heartbeat_at(self) -> float: ...
    @property
    def boot(self) -> str | None: ...
    @property
    def uptime(self) -> float | None: ...


@cache
def boot() -> str:
    """Return the id of this boot of this machine; containers on it have the same."""
    return BOOT_ID.read_text().strip()


def beat() -> dict[str, Any]:
    """Return the values of the columns of a heartbeat now."""
    return {"heartbeat_at": now(), "boot": boot(), "uptime": time.monotonic()}


def silence(row: Heartbeat, clock: float) -> float:
    """Return the seconds since a heartbeat; `clock` is the database's time.

    One in the future was sent before the clock was set back: by now it is old, or will be renewed.
    """
    if row.boot == boot() and row.uptime is not None and row.uptime <= time.monotonic():
        return time.monotonic() - row.uptime
    return abs(clock - row.heartbeat_at)


def silent(table: sa.Table, seconds: float) -> sa.ColumnElement[bool]:
    """Return the condition that the last heartbeat of a row is older than `seconds`."""
    c, present = table.c, time.monotonic()
    here = sa.and_(c.boot == boot(), c.uptime <= present)
    by_clock = sa.or_(c.heartbeat_at < now() - seconds, c.heartbeat_at > now() + seconds)
    return sa.case((here, c.uptime < present - seconds), else_=by_clock)
