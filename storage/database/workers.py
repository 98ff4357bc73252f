"""The rows of workers: that they live, and that they end."""

import os
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import delete, select, update

from storage.database import heartbeats
from storage.database.engine import reading
from storage.database.tables import workers


def heartbeat(
    engine: sa.Engine, worker: str, host: str, process: int, queues: Sequence[str], device: str
) -> None:
    """Record that a worker lives, and the device that it computes on."""
    row = {
        "id": worker, "host": host, "process": process,
        "queues": ",".join(queues), "device": device, **heartbeats.beat(),
    }  # fmt: skip
    beat = heartbeats.beat() | {"device": device}
    step = update(workers).where(workers.c.id == worker).values(beat)
    with engine.begin() as connection:
        if not connection.execute(step).rowcount:
            connection.execute(sa.insert(workers).values(row))


def device(engine: sa.Engine, worker: str) -> str | None:
    """Return the device that a worker's parent last recorded; None if it has no row."""
    with reading(engine) as connection:
        found: str | None = connection.scalar(
            select(workers.c.device).where(workers.c.id == worker)
        )
        return found


def processes(engine: sa.Engine) -> set[int]:
    """Return the process ids of the parents of this machine's workers."""
    here = select(workers.c.process).where(workers.c.host == os.uname().nodename)
    with reading(engine) as connection:
        return set(connection.scalars(here))


def remove(engine: sa.Engine, worker: str) -> None:
    """Remove a worker that ends; no job may name it any more."""
    with engine.begin() as connection:
        connection.execute(delete(workers).where(workers.c.id == worker))
