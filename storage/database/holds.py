"""Hold the queues of a worker whose device cannot be used, so that one job at a time tries it.

The hold is in the worker's row, because the process that finds the trouble ends.
"""

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import select, update

from storage.database.engine import reading
from storage.database.tables import now, workers
from storage.enums import ErrorKind

MAX_PAUSE_SECONDS = 600.0
"""Longest time between two tries of a device."""
_NONE = {
    "trouble": None,
    "trouble_kind": None,
    "trouble_at": None,
    "held_queues": None,
    "held_until": None,
}

c = workers.c


@dataclass(frozen=True)
class Hold:
    """The hold of one worker."""

    kind: ErrorKind
    queues: frozenset[str]
    seconds: float
    """Time in which none of their jobs is claimed; 0 or less if one may try the device now."""
    is_new: bool = False
    """Whether the device worked before."""


def of(engine: sa.Engine, worker: str) -> Hold | None:
    """Return the hold of a worker; None if its device works, as far as is known."""
    held = select(c.trouble_kind, c.held_queues, c.held_until - now()).where(c.id == worker)
    with reading(engine) as connection:
        row = connection.execute(held.where(c.trouble_at.is_not(None))).first()
    return None if row is None else Hold(row[0], frozenset(row[1].split(",")), row[2])


def hold(
    engine: sa.Engine, worker: str, queues: Collection[str], kind: ErrorKind, trouble: str,
    *, least_seconds: float,
) -> Hold:  # fmt: skip
    """Hold queues of a worker for half the time that the trouble has lasted, within limits."""
    mine = select(now(), c.trouble_at).where(c.id == worker)
    with engine.begin() as connection:
        clock, since = connection.execute(mine).first() or (0.0, None)  # it may count as lost
        seconds = min(max(least_seconds, (clock - (since or clock)) / 2), MAX_PAUSE_SECONDS)
        values = {
            "trouble": trouble, "trouble_kind": kind, "trouble_at": since or clock,
            "held_queues": ",".join(queues), "held_until": clock + seconds,
        }  # fmt: skip
        connection.execute(update(workers).where(c.id == worker).values(values))
    return Hold(kind, frozenset(queues), seconds, is_new=since is None)


def release(engine: sa.Engine, worker: str) -> None:
    """Record that the device of a worker works again."""
    with engine.begin() as connection:
        connection.execute(update(workers).where(c.id == worker).values(_NONE))


def held(queue: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Return the condition that a worker holds this queue now."""
    listed = ("," + c.held_queues + ",").contains("," + queue + ",")
    return select(c.id).where(c.held_until > now(), listed).exists()
