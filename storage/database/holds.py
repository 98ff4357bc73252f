"""Hold a device or an output that cannot be used, so that one job at a time tries it.

The hold is in the row of the worker or of the gallery: the process that finds the trouble may end,
and other workers would find it again with each photo.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import select, update

from storage.database import conditions
from storage.database.engine import reading
from storage.database.tables import galleries, now, workers
from storage.enums import ErrorKind
from storage.text import printable

MAX_PAUSE_SECONDS = 600.0
"""Longest time between two tries of what is held."""
FREE = dict.fromkeys(("trouble", "trouble_kind", "trouble_at", "held_until"))
"""The columns of a row that is not held."""

c = workers.c


@dataclass(frozen=True)
class Hold:
    """The hold of one worker or one gallery."""

    kind: ErrorKind
    queues: frozenset[str]
    """The queues of a worker that are held; empty for a gallery, all of whose jobs are."""
    seconds: float
    """Time in which none of their jobs is claimed; 0 or less if one may try now."""
    is_new: bool = False
    """Whether it could be used before, or the reason is another one."""


def of(engine: sa.Engine, worker: str) -> Hold | None:
    """Return the hold of a worker; None if its device works, as far as is known."""
    held = select(c.trouble_kind, c.held_queues, c.held_until - now()).where(c.id == worker)
    with reading(engine) as connection:
        row = connection.execute(held.where(c.trouble_at.is_not(None))).first()
    if row is None:
        return None
    return Hold(row[0], frozenset(row[1].split(",")), conditions.left(row[2], 0, MAX_PAUSE_SECONDS))


def hold(
    engine: sa.Engine, worker: str, queues: Collection[str], kind: ErrorKind, trouble: str,
    *, least_seconds: float,
) -> Hold:  # fmt: skip
    """Hold queues of a worker for half the time that the trouble has lasted, within limits."""
    listed = {"held_queues": ",".join(queues)}
    seconds, last = _hold(engine, workers, c.id == worker, kind, trouble, least_seconds, **listed)
    return Hold(kind, frozenset(queues), seconds, is_new=last is None)


def hold_gallery(
    engine: sa.Engine, gallery: str, kind: ErrorKind, trouble: str, *, least_seconds: float
) -> Hold:
    """Hold a gallery for half the time that the trouble has lasted, within limits."""
    here = galleries.c.name == gallery
    seconds, last = _hold(engine, galleries, here, kind, trouble, least_seconds)
    return Hold(kind, frozenset(), seconds, is_new=last != printable(trouble))


def release(engine: sa.Engine, worker: str) -> None:
    """Record that the device of a worker works again."""
    with engine.begin() as connection:
        step = update(workers).where(c.id == worker)
        connection.execute(step.values(FREE | {"held_queues": None}))


def release_gallery(engine: sa.Engine, gallery: str) -> bool:
    """Record that the output of a gallery can be written to; return whether it was held."""
    held = (galleries.c.name == gallery, galleries.c.trouble_at.is_not(None))
    with reading(engine) as connection:  # almost always there is nothing to change
        if not connection.scalar(select(select(galleries.c.name).where(*held).exists())):
            return False
    with engine.begin() as connection:
        return bool(connection.execute(update(galleries).where(*held).values(FREE)).rowcount)


def try_now(connection: sa.Connection, names: Collection[str]) -> None:
    """End the pause of galleries that are held; the next job tries their outputs."""
    held = (galleries.c.name.in_(names), galleries.c.held_until.is_not(None))
    connection.execute(update(galleries).where(*held).values(held_until=None))


def is_wanted(engine: sa.Engine, worker: str) -> bool:
    """Return whether another worker waits for memory of the device that this one computes on."""
    with reading(engine) as connection:
        return bool(
            connection.scalar(select(select(c.id).where(*_waiting_beside(worker)).exists()))
        )


def may_get_room(engine: sa.Engine, worker: str, seconds: float) -> bool:
    """Return whether another worker may free memory of this device within `seconds` of trouble."""
    others = select(c.id).where(c.id != worker, _on_device_of(worker)).exists()
    waited = sa.func.coalesce(now() - c.trouble_at, 0.0)
    with reading(engine) as connection:
        return bool(connection.scalar(select(c.id).where(c.id == worker, others, waited < seconds)))


def give_way(engine: sa.Engine, worker: str) -> None:
    """Let the workers that wait for memory of this worker's device try it now."""
    step = update(workers).where(*_waiting_beside(worker)).values(held_until=now())
    with engine.begin() as connection:
        connection.execute(step)


def _waiting_beside(worker: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (c.id != worker, c.trouble_kind == ErrorKind.GPU_BUSY, _on_device_of(worker))


def _on_device_of(worker: str) -> sa.ColumnElement[bool]:
    """Return the condition for workers on this one's device; equal cards of a machine count as one."""
    mine = workers.alias()
    here = select(mine.c.host, mine.c.device).where(mine.c.id == worker)
    return sa.tuple_(c.host, c.device).in_(here)


def held(queue: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Return the condition that a worker holds this queue now."""
    listed = ("," + c.held_queues + ",").contains("," + queue + ",")
    return select(c.id).where(conditions.ahead(c.held_until, MAX_PAUSE_SECONDS), listed).exists()


def _hold(
    engine: sa.Engine, table: sa.Table, here: sa.ColumnElement[bool], kind: ErrorKind, trouble: str,
    least_seconds: float, **more: Any,
) -> tuple[float, str | None]:  # fmt: skip
    """Hold the row and return for how many seconds, and its trouble before, if it had one."""
    with engine.begin() as connection:
        query = select(now(), table.c.trouble_at, table.c.trouble).where(here)
        row = connection.execute(query).first()  # a worker may count as lost
        clock, since, last = row or (0.0, None, None)
        seconds = min(max(least_seconds, (clock - (since or clock)) / 2), MAX_PAUSE_SECONDS)
        values = more | {
            "trouble": trouble, "trouble_kind": kind, "trouble_at": since or clock,
            "held_until": clock + seconds,
        }  # fmt: skip
        connection.execute(update(table).where(here).values(values))
    return seconds, last
