"""The rows of workers: that they live, and that they end."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import delete, update

from storage.database.tables import now, workers


def heartbeat(
    engine: sa.Engine, worker: str, host: str, process: int, queues: Sequence[str], device: str
) -> None:
    """Record that a worker lives."""
    row = {
        "id": worker, "host": host, "process": process,
        "queues": ",".join(queues), "device": device, "heartbeat_at": now(),
    }  # fmt: skip
    step = update(workers).where(workers.c.id == worker).values(heartbeat_at=now())
    with engine.begin() as connection:
        if not connection.execute(step).rowcount:
            connection.execute(sa.insert(workers).values(row))


def remove(engine: sa.Engine, worker: str) -> None:
    """Remove a worker that ends; no job may name it any more."""
    with engine.begin() as connection:
        connection.execute(delete(workers).where(workers.c.id == worker))
