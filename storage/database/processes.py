"""The rows of the processes beside the workers: that they live, and why one keeps ending.

A process that ends as it was asked to removes its row.
"""

import os
import socket
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from storage.database import heartbeats
from storage.database.tables import now, processes

WATCHER, MAINTENANCE, GALLERY = "watcher", "maintenance", "gallery "

TROUBLE_SECONDS = 300.0
"""Age up to which a trouble counts: one that goes on is noted again at each start, which is sooner."""

c = processes.c


def heartbeat(engine: sa.Engine, *names: str) -> None:
    """Record that these processes of this machine live."""
    for name in names:
        _write(engine, name, **heartbeats.beat(), process=os.getpid())


def sends_heartbeats(name: str) -> bool:
    """Return whether the row of this name is one of a process that sends heartbeats."""
    return name in (WATCHER, MAINTENANCE) or name.startswith(GALLERY)


def note_trouble(engine: sa.Engine, name: str, trouble: str) -> None:
    """Record why a process of this machine has ended, though nobody asked it to."""
    _write(engine, name, trouble=trouble, trouble_at=now())


def remove(engine: sa.Engine, names: Collection[str]) -> None:
    """Remove the rows of processes of this machine that end."""
    with engine.begin() as connection:
        connection.execute(sa.delete(processes).where(_here(), c.name.in_(list(names))))


def begin(engine: sa.Engine, seconds: float) -> None:
    """Remove the rows of this machine's earlier processes, and of those without a heartbeat."""
    ended = sa.or_(_here(), heartbeats.silent(processes, seconds))
    past = sa.or_(c.trouble_at.is_(None), c.trouble_at < now() - TROUBLE_SECONDS)
    with engine.begin() as connection:
        connection.execute(sa.delete(processes).where(ended, past))


def _here() -> sa.ColumnElement[bool]:
    return c.host == socket.gethostname()


def _write(engine: sa.Engine, name: str, **columns: Any) -> None:
    step = sa.update(processes).where(c.name == name, _here()).values(columns)
    row = {"name": name, "host": socket.gethostname(), "process": os.getpid()}
    with engine.begin() as connection:
        if not connection.execute(step).rowcount:
            connection.execute(sa.insert(processes).values(row | heartbeats.beat() | columns))
